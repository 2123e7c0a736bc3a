"""A pretend GPU: it computes on the CPU, but Python code sees `cuda:0`, and what a real GPU would refuse is refused.

    with pretend_gpu() as seen:
        ...          # torch.cuda.is_available() is true; what is made on "cuda" says so
    seen.waits       # where the host would have waited for the GPU
    seen.launches    # kernels that the host would have launched
    seen.copied      # bytes that would have crossed to the device, or back

A tensor "on the device" is an ordinary CPU tensor whose Python class is `OnDevice`. A TorchFunctionMode sees every call
of torch before its arguments are parsed, so CUDA is never initialized; it answers questions about devices, checks that
all tensors are where a GPU would want them, and lets the operation run on the CPU: autograd knows nothing of it, and
the numbers are the CPU's. A TorchDispatchMode sees what an operation is made of, its backward pass included.

It shows mixed devices, `.numpy()` of a tensor on the device, waits of the host, Adam's moments of another layout than
their parameters. It cannot show time, memory, or the rounding and races of real kernels.
"""

from __future__ import annotations

import copy
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
import torch._dynamo  # which torch imports at the first dispatch mode; it must not see the pretence
from torch import Tensor, nn
from torch.optim import adam as adam_module
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("cuda", 0)
NAME = "Pretend GPU"
PROJECT = str(Path(__file__).parents[2])
READ = {
    "_local_scalar_dense", "nonzero", "bincount", "masked_select", "_unique2", "unique_dim", "unique_consecutive",
    "equal", "_linalg_svd", "_linalg_eigh", "linalg_eig", "linalg_cholesky", "_linalg_check_errors",
}  # fmt: skip
"""Operations whose value, or whose shape, the host must know before it can go on."""
VIEWS = {
    "view", "_unsafe_view", "alias", "expand", "permute", "transpose", "t", "slice", "select", "split", "unsqueeze",
    "split_with_sizes", "squeeze", "as_strided", "detach", "unbind", "diagonal", "_reshape_alias", "lift_fresh",
    "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_local_scalar_dense",
}  # fmt: skip
"""Operations that launch no kernel."""


class RefusedError(RuntimeError):
    """What CUDA would have refused."""


class OnDevice(Tensor):
    """A CPU tensor that passes for one on the device."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return called(func, args, kwargs or {})


def there(tensor: Tensor) -> Tensor:
    """Declare this very tensor to be on the device."""
    if type(tensor) is nn.Parameter:
        tensor._is_param = True  # type: ignore[attr-defined]
    tensor.__class__ = OnDevice
    return tensor


def here(tensor: Tensor) -> Tensor:
    """Declare this very tensor to be on the host."""
    if type(tensor) is OnDevice:
        tensor.__class__ = nn.Parameter if tensor.__dict__.pop("_is_param", False) else Tensor  # type: ignore[assignment]
    return tensor


def away(tensor: Tensor) -> bool:
    return type(tensor) is OnDevice


class Seen:
    """What was seen, by the section it was seen in: the innermost `during` of the thread."""

    now: Seen | None = None

    def __init__(self, free_bytes: int) -> None:
        self.free_bytes = free_bytes
        self.waits: Counter[tuple[str, str, str]] = Counter()
        """Keys: section, kind, line of the project."""
        self.launches: Counter[str] = Counter()
        self.copies: Counter[tuple[str, str]] = Counter()
        self.copied: Counter[tuple[str, str]] = Counter()
        """Bytes. Keys: section, `to the device` or `to the host`."""
        self._local = threading.local()

    @property
    def section(self) -> str:
        return getattr(self._local, "section", "")

    @contextmanager
    def during(self, section: str) -> Iterator[None]:
        before = self.section
        self._local.section = section
        try:
            yield
        finally:
            self._local.section = before

    def waited(self, kind: str) -> None:
        self.waits[self.section, kind, line()] += 1

    def moved(self, tensor: Tensor, where: str) -> None:
        self.copies[self.section, where] += 1
        self.copied[self.section, where] += tensor.numel() * tensor.element_size()


def line() -> str:
    """The innermost line of the project, this file's aside."""
    frame = sys._getframe(1)
    while frame.f_back and not _is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def _is_ours(file: str) -> bool:
    return file.startswith(PROJECT) and "site-packages" not in file and file != __file__


class Look(TorchDispatchMode):
    """Counts what an operation on the device is made of."""

    def __init__(self, on_host: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.on_host = on_host

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, seen = func.overloadpacket.__name__, current()
        if name not in VIEWS:
            seen.launches[seen.section] += 1
        masks = name in ("index", "index_put", "index_put_", "_index_put_impl_") and any(
            where is not None and where.dtype in (torch.bool, torch.uint8) for where in args[1]
        )
        if masks and name != "index" and args[2].numel() == 1 and not (len(args) > 3 and args[3]):
            masks = False  # one value under a mask is filled in
        if (name in READ or masks) and not (args and id(args[0]) in self.on_host):
            seen.waited(f"{name} by a mask" if masks else name)
        return func(*args, **(kwargs or {}))


class Mode(TorchFunctionMode):
    """Brings every call of torch to `called`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return called(func, args, kwargs or {})


def current() -> Seen:
    assert Seen.now is not None
    return Seen.now


def called(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One call of a torch function, method or property."""
    with torch._C.DisableTorchFunctionSubclass():
        if Seen.now is None:  # the pretence is over
            return func(*args, **kwargs)
        return SPECIAL.get(func, run)(func, args, kwargs)


def run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An ordinary operation: its tensors in one place, its results there too."""
    wanted, tensors = kwargs.get("device"), [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    pinned = kwargs.pop("pin_memory", False)
    if wanted is not None and torch.device(wanted).type == "cuda":
        with Look():
            made = func(*args, **{**kwargs, "device": None})
        if func in (torch.tensor, torch.as_tensor, torch.asarray) and not any(map(away, tensors)):
            current().moved(made, "to the device")
            current().waited("values copied to the device")
            made = made.clone()
        return there(made)
    if not any(map(away, tensors)) or wanted is not None:
        made = func(*args, **kwargs)
        if pinned:
            made._pinned = True
        return made
    on_host = [tensor for tensor in tensors if not away(tensor)]
    check_place(func, args, on_host)
    with Look(tuple(map(id, on_host))):
        result = func(*args, **kwargs)
    known = {id(tensor) for tensor in tensors}
    return tree_map(lambda x: there(x) if isinstance(x, Tensor) and id(x) not in known else x, result)


def check_place(func: Any, args: tuple[Any, ...], on_host: list[Tensor]) -> None:
    """Refuse what a GPU would refuse of an operation with tensors on the device; note where the host would wait."""
    name = getattr(func, "__name__", str(func))
    if not on_host or func in PLACELESS:
        return
    if func == Tensor.__getitem__:
        if not away(args[0]):
            raise RefusedError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
        current().waited("an index on the host")
    elif func == Tensor.__setitem__:
        target, where, value = args
        indices = [x for x in tree_leaves(where) if isinstance(x, Tensor)]
        if not away(target) or (indices and isinstance(value, Tensor) and not away(value) and value.dim()):
            raise RefusedError("index_put_: expected all tensors to be on the same device")
        if isinstance(value, Tensor) and not away(value):
            current().moved(value, "to the device")
        current().waited("an index or a value on the host")
    elif func in TOGETHER or any(tensor.dim() for tensor in on_host) or (name.endswith("_") and not away(args[0])):
        raise RefusedError(f"{name}: expected all tensors to be on the same device, but found cuda:0 and cpu")


PLACELESS = {
    Tensor.expand_as, Tensor.view_as, Tensor.reshape_as, Tensor.__hash__, torch.is_same_size,
    torch._has_compatible_shallow_copy_type,
}  # fmt: skip
TOGETHER = {torch.cat, torch.stack, torch.gather, Tensor.index_add_, torch.matmul, nn.functional.batch_norm}
"""Operations that do not take even a single number from the host."""
SPECIAL: dict[Any, Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]] = {}


def special(*functions: Any) -> Callable[[Any], Any]:
    def register(handler: Any) -> Any:
        SPECIAL.update(dict.fromkeys(functions, handler))
        return handler

    return register


def moved(tensor: Tensor, to_device: bool, non_blocking: bool, **options: Any) -> Tensor:
    """`tensor` there or here, the same object if nothing changes."""
    if away(tensor) == to_device:
        with Look() if to_device else nullcontext():
            result = Tensor.to(tensor, **options)
        return there(result) if to_device else result
    result = Tensor.to(tensor, **{"dtype": tensor.dtype, **options}, copy=True)
    current().moved(tensor, "to the device" if to_device else "to the host")
    if to_device and not (non_blocking and getattr(tensor, "_pinned", False)):
        current().waited("a copy to the device that is not pinned and non-blocking")
    if not to_device and not non_blocking:
        current().waited("a copy to the host")
    return there(result) if to_device else here(result)


@special(Tensor.to)
def _to(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    tensor, *rest = args
    options = dict(kwargs)
    device = options.pop("device", None)
    if rest and isinstance(rest[0], str | torch.device):
        device = rest.pop(0)
    options |= dict(zip(["dtype", "non_blocking", "copy"], rest, strict=False))
    non_blocking = options.pop("non_blocking", False)
    options = {key: value for key, value in options.items() if value is not None}
    wanted = away(tensor) if device is None else torch.device(device).type == "cuda"
    if not options and wanted == away(tensor):
        return tensor
    return moved(tensor, wanted, non_blocking, **options)


@special(Tensor.cpu)
def _cpu(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return moved(args[0], False, False)


@special(Tensor.pin_memory)
def _pin(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if away(args[0]):
        raise RefusedError("cannot pin a tensor on the device")
    pinned = args[0].clone(memory_format=torch.preserve_format)
    pinned._pinned = True
    return pinned


@special(Tensor.copy_)
def _copy(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    target, source = args[:2]
    non_blocking = kwargs.get("non_blocking", args[2] if len(args) > 2 else False)
    if away(target) != away(source):
        current().moved(source, "to the device" if away(target) else "to the host")
        if not non_blocking or (away(target) and not getattr(source, "_pinned", False)):
            current().waited("a blocking copy")
    with Look():
        return func(*args, **kwargs)


@special(Tensor.numpy, Tensor.__array__)
def _numpy(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if away(args[0]):
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
    return func(*args, **kwargs)


@special(Tensor.tolist)
def _tolist(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if away(args[0]):
        current().waited("tolist")
    return func(*args, **kwargs)


SPECIAL[Tensor.device.__get__] = lambda func, args, kwargs: GPU if away(args[0]) else func(*args)  # type: ignore[attr-defined]
SPECIAL[Tensor.is_cuda.__get__] = lambda func, args, kwargs: away(args[0])  # type: ignore[attr-defined]
SPECIAL[Tensor.is_cpu.__get__] = lambda func, args, kwargs: not away(args[0])  # type: ignore[attr-defined]


@special(Tensor.data.__set__)  # type: ignore[attr-defined]
def _set_data(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """`nn.Module.to` puts a parameter elsewhere so."""
    func(*args)
    (there if away(args[1]) else here)(args[0])


@special(Tensor.__deepcopy__)
def _deepcopy(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    tensor, memo = args
    if not away(tensor):
        return func(*args)
    if id(tensor) not in memo:
        made = there(tensor.detach().clone())
        made.__dict__ = copy.deepcopy(tensor.__dict__, memo)
        memo[id(tensor)] = made.requires_grad_(tensor.requires_grad)
    return memo[id(tensor)]


@special(torch._fused_adam_)
def _fused_adam(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """What the CUDA kernel insists on; then the numbers of the optimiser that is not fused."""
    parameters, gradients, first, second, _, steps = args
    current().launches[current().section] += 1 + len(parameters) // 30
    if not all(away(x) for x in tree_leaves(args) if isinstance(x, Tensor)):
        raise RefusedError("fused Adam: not all tensors are on the device")
    for parameter, *others in zip(parameters, gradients, first, second, strict=True):
        if any(layout(other) != layout(parameter) for other in others):
            raise RefusedError("params, grads, exp_avgs, and exp_avg_sqs must have same dtype, device, and layout")
    torch._foreach_sub_(steps, 1)
    adam_module._multi_tensor_adam(
        parameters, gradients, first, second, [], steps, None, None, has_complex=False, capturable=False,
        differentiable=False, decoupled_weight_decay=False,
        **{name: kwargs[name] for name in ("amsgrad", "beta1", "beta2", "lr", "weight_decay", "eps", "maximize")},
    )  # fmt: skip


def layout(tensor: Tensor) -> list[tuple[int, int]]:
    return [(size, stride) for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if size > 1]


@contextmanager
def pretend_gpu(free_bytes: int = 80 * 2**30) -> Iterator[Seen]:
    """Pretend that there is one GPU with so much free memory; yield what is seen of it."""
    seen = Seen(free_bytes)
    autocast_init, run_thread = torch.autocast.__init__, threading.Thread.run

    def autocast(self: Any, device_type: str, *args: Any, **kwargs: Any) -> None:
        autocast_init(self, "cpu", *args, **kwargs)

    def thread(self: threading.Thread) -> None:
        with Mode():  # modes belong to a thread
            run_thread(self)

    cuda: dict[str, Any] = {
        "is_available": lambda: True, "device_count": lambda: 1, "current_device": lambda: 0,
        "_lazy_init": lambda: None, "set_device": lambda device: None, "get_device_name": lambda device=None: NAME,
        "get_device_properties": lambda device=None: SimpleNamespace(name=NAME, total_memory=80 * 2**30),
        "mem_get_info": lambda device=None: (seen.free_bytes, 80 * 2**30), "empty_cache": lambda: None,
        "memory_reserved": lambda device=None: 0, "memory_allocated": lambda device=None: 0,
        "max_memory_allocated": lambda device=None: 2**21, "reset_peak_memory_stats": lambda device=None: None,
        "synchronize": lambda device=None: seen.waited("torch.cuda.synchronize"),
    }  # fmt: skip
    flags: list[tuple[Any, str]] = [
        (torch.backends.cudnn, "benchmark"),
        (torch.backends.cudnn.conv, "fp32_precision"),  # type: ignore[attr-defined]
        (torch.backends.cuda.matmul, "fp32_precision"),
    ]
    with ExitStack() as stack:
        for owner, flag in flags:
            stack.callback(setattr, owner, flag, getattr(owner, flag))
        for name, value in cuda.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        stream = SimpleNamespace(is_capturing=lambda: False)
        stack.enter_context(mock.patch.object(torch.accelerator, "current_stream", lambda device=None: stream))
        stack.enter_context(mock.patch.object(torch.autocast, "__init__", autocast))
        stack.enter_context(mock.patch.object(threading.Thread, "run", thread))
        stack.enter_context(mock.patch.object(Seen, "now", seen))
        stack.enter_context(Mode())
        yield seen
