"""Widgets whose value is always written to the page's URL, so that the address alone restores the view.

What a run of the page writes reaches the browser at once, when it ends: every change of the address is an entry of the
browser's history, and Back must find the view before, not half of this one.

Streamlit's own `bind="query-params"` leaves default values out (a link would change its meaning with the defaults) and
drops unknown values without a word; both would make a citation of a view unreliable.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import streamlit as st

from harness.tables.addresses import View, known
from harness.tables.formats import escape_markdown

if TYPE_CHECKING:
    from streamlit.elements.lib.mutable_tab_container import TabContainer

LATE_SECONDS = 3.0
"""How long an address from before the last choice may still arrive."""


PENDING = "address of this run"


@contextmanager
def written_once() -> Iterator[None]:
    """Keep what the page writes to the address until the block ends."""
    st.session_state[PENDING] = {param: st.query_params.get_all(param) for param in st.query_params}
    try:
        yield
    finally:
        _send()
        del st.session_state[PENDING]


def rerun() -> None:
    """Run the page again, with the address as this run leaves it."""
    _send()
    st.rerun()


def _send() -> None:
    address: dict[str, list[str]] = st.session_state[PENDING]
    if address != {param: st.query_params.get_all(param) for param in st.query_params}:
        st.query_params.from_dict(address)


def stated(param: str) -> bool:
    """Whether the address has a parameter."""
    return bool(_values(param))


def _values(param: str) -> list[str]:
    """What the address will say of a parameter when this run ends; what it says now outside a run (in a callback)."""
    address: dict[str, list[str]] | None = st.session_state.get(PENDING)
    return address.get(param, []) if address is not None else st.query_params.get_all(param)


def _write(param: str, values: list[str]) -> None:
    """Let the address state these values; none takes the parameter out."""
    address: dict[str, list[str]] | None = st.session_state.get(PENDING)
    if address is not None:
        address[param] = values
        if not values:
            del address[param]
    elif values:
        st.query_params[param] = values
    elif param in st.query_params:
        del st.query_params[param]


def check(view: type[View]) -> None:
    """Warn about parameters of the address that the page does not know; drop those that the page before left behind."""
    address: dict[str, list[str]] = st.session_state[PENDING]
    for param in [name for name in address if name not in known(view.page)]:
        left_behind = address.pop(param) == _listed(st.session_state.get(f"last:{param}"))
        if not left_behind:
            st.warning(
                f"The address has a parameter “{escape_markdown(param[:40])}”, which this page does not know: "
                "what you see may not be what was meant.",
                icon=":material/link_off:",
            )


def _listed(value: Any) -> list[str]:
    return list(value) if isinstance(value, list) else [] if value is None else [str(value)]


def chosen(param: str) -> str:
    """Return a choice that is no widget's: what the address asks for, else what was chosen last, else ''.

    Not simply what the address holds: the rerun of a quick second click still carries the address of before the first.
    """
    wanted, last = wanted_now(param), st.session_state.get(f"last:{param}")
    return _written(param, wanted if wanted is not None and _asks(param, wanted) else last or "")


def state(param: str, value: str) -> None:
    """Write a choice that is no widget's (a selected row) to the URL; '' takes it out."""
    _written(param, value)


def listed(param: str, values: Sequence[str]) -> None:
    """Write a choice of several that is no widget's (ticked rows) to the URL; none takes it out."""
    _write(param, list(values))
    _remember(param, list(values))


def asked_for(param: str) -> list[str]:
    """Return the values of a parameter that the address asks for anew; none if it says what the page last wrote."""
    values = _values(param)
    return values if values and _asks(param, values) else []


def select(
    label: str,
    options: Sequence[str],
    param: str,
    default: str | None = None,
    show: Callable[[str], str] = str,
    **kwargs: Any,
) -> str:
    """A select box over `options` (not empty)."""
    _prepare(param, options, default if default is not None and default in options else options[0], label)
    value = st.selectbox(label, options, key=param, format_func=show, **kwargs)
    return _written(param, value)


def segments(
    label: str, options: Sequence[str], param: str, default: str, show: Callable[[str], str] = str, **kwargs: Any
) -> str:
    """A row of buttons of which exactly one is on."""
    _prepare(param, options, default, label)
    value = st.segmented_control(label, options, key=param, format_func=show, required=True, **kwargs)
    return _written(param, value or default)


def several(
    label: str,
    options: Sequence[str],
    param: str,
    default: Sequence[str] = (),
    show: Callable[[str], str] = str,
    pills: bool = False,
    quiet: bool = False,
    **kwargs: Any,
) -> list[str]:
    """A multiple choice, as buttons (`pills`) or a box; the URL repeats the parameter, and holds it empty for none.

    `quiet` leaves the default out of the URL: for how a table is shown, not for what it is about.
    """
    wanted, last = _values(param), st.session_state.get(f"last:{param}")
    if wanted and _asks(param, wanted):
        current: Sequence[str] | None = [value for value in wanted if value]
        _warn(label, [value for value in current or () if value not in options])
    else:
        current = st.session_state.get(param) if param in st.session_state else default if last is None else last
        if quiet and list(current or ()) == st.session_state.get(f"default:{param}"):
            current = default  # nothing was chosen: other options have another default
    _set(param, [value for value in current or () if value in options])
    if pills:
        values = list(st.pills(label, options, selection_mode="multi", key=param, format_func=show, **kwargs))
    else:
        values = st.multiselect(label, options, key=param, format_func=show, **kwargs)
    untouched = quiet and values == list(default)
    st.session_state[f"default:{param}"] = values if untouched else None
    _write(param, [] if untouched else values or [""])
    _remember(param, values or [""])
    return values


def between(label: str, low: float, high: float, param: str, **kwargs: Any) -> tuple[float, float]:
    """A slider with two ends from `low` to `high`; the URL holds `0.25..0.75`, and nothing for the whole."""
    wanted, span = wanted_now(param), st.session_state.get(param, (low, high))
    if wanted is not None and _asks(param, wanted):
        found = re.fullmatch(r"(-?[0-9.]{1,6})\.\.(-?[0-9.]{1,6})", wanted)
        try:
            span = (float(found[1]), float(found[2])) if found else (low, high)
        except ValueError:
            found, span = None, (low, high)
        _warn(label, [] if found else [wanted])
    if span == st.session_state.get(f"default:{param}"):
        span = (low, high)  # nothing was chosen: other values have another range
    first, last = (min(max(value, low), high) for value in sorted(span))
    _set(param, (first, last))
    first, last = st.slider(label, low, high, key=param, **kwargs)
    untouched = (first, last) == (low, high)
    st.session_state[f"default:{param}"] = (low, high) if untouched else None
    _written(param, "" if untouched else f"{first:.2f}..{last:.2f}")
    return first, last


def tabs(labels: Sequence[str], param: str) -> Sequence[TabContainer]:
    """Tabs, the first one open unless the address names another; only the `open` one needs to be drawn."""
    _prepare(param, labels, labels[0], "View")
    containers = st.tabs(labels, key=param, on_change="rerun")
    _written(param, next(label for label, tab in zip(labels, containers, strict=True) if tab.open))
    return containers


def search(label: str, param: str, **kwargs: Any) -> str:
    """A line of text, returned in lower case without outer spaces."""
    wanted, last = wanted_now(param), st.session_state.get(f"last:{param}")
    if wanted is not None and _asks(param, wanted):
        _set(param, wanted)
    else:
        _set(param, st.session_state.get(param) if param in st.session_state else last or "")
    value = st.text_input(label, key=param, **kwargs) or ""
    _written(param, value)
    return value.strip().lower()


def _prepare(param: str, options: Sequence[str], default: str, label: str) -> None:
    wanted, last = wanted_now(param), st.session_state.get(f"last:{param}")
    if wanted is not None and _asks(param, wanted):  # opened by a link
        _warn(label, [] if wanted in options else [wanted])
        _set(param, wanted if wanted in options else default)
    else:
        known = (value for value in (st.session_state.get(param), last, default) if value in options)
        _set(param, next(known))


def wanted_now(param: str) -> str | None:
    """Return what the address says of a parameter, the last of several; None for nothing."""
    values = _values(param)
    return values[-1] if values else None


def _asks(param: str, wanted: Any) -> bool:
    """Whether the address asks for something else than the page last wrote there.

    After two quick selections the second rerun still carries the old URL; it is ignored.
    """
    before, when = st.session_state.get(f"before:{param}", (None, 0.0))
    late = wanted == before and time.monotonic() - when < LATE_SECONDS
    return wanted != st.session_state.get(f"last:{param}") and not late


def _remember(param: str, value: Any) -> None:
    """Note what the page wrote, and what stood there before it."""
    last = st.session_state.get(f"last:{param}")
    if value != last:
        st.session_state[f"before:{param}"] = (last, time.monotonic())
    st.session_state[f"last:{param}"] = value


def _set(param: str, value: Any) -> None:
    """Give the widget its value, even where it has it: another page's widget of this name would keep its own."""
    st.session_state[param] = value


def _warn(label: str, unknown: Sequence[str]) -> None:
    if unknown:
        names = ", ".join(f"“{escape_markdown(name[:80])}”" for name in unknown)
        st.warning(
            f"The address asks for {names}, which is not known here ({label.lower()}).", icon=":material/link_off:"
        )


def _written(param: str, value: str) -> str:
    _write(param, [value] if value else [])
    _remember(param, value)
    return value
