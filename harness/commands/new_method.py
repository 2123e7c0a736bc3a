"""`harness new method`: a spec, and with it an algorithm's file, that pass `harness check` at once."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UserError
from harness.paths import write_text
from harness.specs.base import check_slug
from harness.specs.registry import Registry

SPEC = """\
name: {name}
title: {title}
description: >-
  What is new about it, in one or two sentences.
extends: {origin}
role: method
starter: false
judged_against: [{origin}]
{algorithm}# State only what differs from {origin}, for example:
# params: {{…}}
# regimes: {{drawn: {{compute: {{epochs: 20}}}}}}
"""

CODE = '''\
"""{title}: say here in one paragraph what the method does, and which paper it comes from."""

from __future__ import annotations

from {module} import {parent}


class {class_name}({parent}):
    """Override `build`, `begin_epoch` or `step`; a hyper-parameter of your own goes into `Params`."""

    class Params({parent}.Params):
        pass
'''


def scaffold_method(registry: Registry, name: str, origin: str, code: bool) -> list[Path]:
    """Write methods/<name>.yaml extending `origin`, and with `code` methods/<name>.py. Returns what was written.

    Raises UserError if a name is wrong or taken.
    """
    try:
        check_slug(name)
    except ValueError as error:
        raise UserError(str(error)) from error
    parent = registry.checked().method(origin)
    spec_path = registry.root / "methods" / f"{name}.yaml"
    module_name = name.replace("-", "_").replace(".", "_")
    code_path = registry.root / "methods" / f"{module_name}.py"
    title = name.replace("-", " ").capitalize()
    algorithm, written = "", [spec_path]
    if code:
        class_name = "".join(part.capitalize() for part in module_name.split("_"))
        if class_name[:1].isdigit():
            raise UserError(f"{name!r}: with --code the name must start with a letter, to name a class")
        algorithm = f"algorithm: methods.{module_name}:{class_name}\n"
        written.append(code_path)
    for path in written:
        if path.exists():
            raise UserError(f"{path}: exists already; choose another name")
    if code:
        module, parent_class = parent.algorithm.split(":")
        write_text(code_path, CODE.format(title=title, module=module, parent=parent_class, class_name=class_name))
    write_text(spec_path, SPEC.format(name=name, title=title, origin=origin, algorithm=algorithm))
    return written
