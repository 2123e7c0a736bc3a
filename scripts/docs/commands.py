"""The command-line reference, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

from harness.cli import app

INTRO = """\
# Command line

Exit codes: 0 done, 1 the input is wrong (one message that says what, where and what to do; no traceback), 2 bad usage,
130 interrupted. `harness COMMAND --help` says the same as this page.
"""


def page() -> str:
    """Every command with its arguments and options, as Markdown."""
    return "\n".join([INTRO, *_sections(typer.main.get_command(app), "harness")])


def _sections(command: Any, name: str) -> Iterator[str]:
    if subcommands := getattr(command, "commands", None):
        for part in subcommands:
            if not subcommands[part].hidden:
                yield from _sections(subcommands[part], f"{name} {part}")
        return
    context = command.context_class(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    yield f"## {name}\n\n```text\n{usage}\n```\n\n{command.help}\n"
    rows = [_row(parameter) for parameter in command.params]
    if rows:
        yield "\n".join(["| argument or option | default | what it is |", "| :--- | :--- | :--- |", *rows, ""])


def _row(parameter: Any) -> str:
    argument = parameter.param_type_name == "argument"
    name = parameter.metavar or parameter.name if argument else ", ".join(parameter.opts)
    stated = parameter.default not in (None, "", False, ())
    default = "required" if parameter.required else f"`{parameter.default}`" if stated else ""
    text = (parameter.help or "").replace("|", "\\|")
    return f"| `{name}` | {default} | {text} |"
