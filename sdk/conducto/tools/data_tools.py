"""``conducto-data-pipeline`` and ``conducto-data-user``: the methods of ``co.data`` for shells.

Results are printed as JSON, so that every language can read them: ``exists`` prints ``true``,
``list`` an array, ``url`` a text in quotes. ``gets`` prints the data itself, and ``puts`` reads it
from stdin.
"""

from __future__ import annotations

import json
import os
import sys

from conducto import data
from conducto.data import files, location
from conducto.errors import UsageError
from conducto.tools.arguments import ToolCommand, print_usage, run_tool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Dict, List, Optional, Type

    from conducto.data import _Data
    from conducto.tools.arguments import Parsed

_LOCAL = ("local",)
_COMMANDS: Dict[str, ToolCommand] = {
    "get": ToolCommand(("name", "file"), flags=_LOCAL),
    "gets": ToolCommand(("name",), ("byte_range",), flags=_LOCAL),
    "put": ToolCommand(("name", "file"), flags=("skip_cleanup", *_LOCAL)),
    "puts": ToolCommand(("name",), flags=_LOCAL),
    "list": ToolCommand((), ("prefix",), flags=_LOCAL),
    "exists": ToolCommand(("name",), flags=_LOCAL),
    "delete": ToolCommand(("name",), flags=("recursive", *_LOCAL)),
    "size": ToolCommand(("name",), flags=_LOCAL),
    "url": ToolCommand(("name",), flags=("path_only", *_LOCAL)),
    "cache_exists": ToolCommand(("name", "checksum"), flags=_LOCAL),
    "clear_cache": ToolCommand(("name",), ("checksum",), flags=_LOCAL),
    "save_cache": ToolCommand(("name", "checksum", "save_dir"), flags=_LOCAL),
    "restore_cache": ToolCommand(("name", "checksum", "restore_dir"), flags=_LOCAL),
}


def pipeline(argv: Optional[Sequence[str]] = None) -> int:
    """Run ``conducto-data-pipeline``; return its exit code: 0, 1 failed, 2 wrong usage."""
    return _main("conducto-data-pipeline", data.pipeline, argv)


def user(argv: Optional[Sequence[str]] = None) -> int:
    """Run ``conducto-data-user``; return its exit code: 0, 1 failed, 2 wrong usage."""
    return _main("conducto-data-user", data.user, argv)


def _main(tool: str, scope: Type[_Data], argv: Optional[Sequence[str]]) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if any(word in {"-h", "--help"} for word in words[:2]):
        return print_usage(_usage(tool))
    return run_tool(tool, f"Try `{tool} --help`.", lambda: _run(scope, words))


def _usage(tool: str) -> str:
    lines = [f"usage: {tool} COMMAND ... [--id PIPELINE] [--local | --no-local]", "commands:"]
    for name, command in _COMMANDS.items():
        shown = ToolCommand(command.required, command.optional, command.flags[:-1])
        lines.append(f"  {name.replace('_', '-')} {shown.usage()}".rstrip())
    return "\n".join(lines)


def _run(scope: Type[_Data], words: Sequence[str]) -> int:
    if not words:
        raise UsageError("give a command")
    name = words[0].replace("-", "_")
    command = _COMMANDS.get(name)
    if command is None:
        raise UsageError(f"{words[0]!r} is not a command")
    parsed = command.parse(words[1:], options=("id",))
    _choose_place(name, parsed)
    try:
        if name == "gets":
            _print_data(scope, parsed)
        elif name == "puts":
            scope._put_stream(parsed.values["name"], sys.stdin.buffer)  # noqa: SLF001 - no copy in memory
        else:
            arguments: Dict[str, object] = {**parsed.values, **parsed.flags}
            if name == "list":
                arguments.setdefault("prefix", "")
            result = getattr(scope, name)(**arguments)
            if result is not None:
                print(json.dumps(result))
    except data.ContextError as error:
        if scope is data.user or os.environ.get("CONDUCTO_PIPELINE_ID"):
            raise
        raise data.ContextError(
            f"{error} Outside of a pipeline, name one: --id PIPELINE (see conducto list)."
        ) from error
    return 0


def _choose_place(name: str, parsed: Parsed) -> None:
    chosen = parsed.values.pop("id", None)
    local = parsed.flags.pop("local", None)
    if local is False:
        location.refuse_cloud()
    if local is True and "cloud" in os.environ.get("CONDUCTO_EXECUTION_ENV", ""):
        del os.environ["CONDUCTO_EXECUTION_ENV"]
    if chosen is None:
        return
    own = os.environ.get("CONDUCTO_PIPELINE_ID")
    if own is not None and own != chosen and os.environ.get("CONDUCTO_EXECUTION_ENV"):
        raise data.ContextError(
            f"--id {chosen}: a node sees the data of its own pipeline only, which is {own}"
        )
    os.environ["CONDUCTO_PIPELINE_ID"] = chosen
    if name != "url":  # an address can name any pipeline
        location.root_of("pipeline")  # rejects an unknown one, even for user data


def _print_data(scope: Type[_Data], parsed: Parsed) -> None:
    name, text = parsed.values["name"], parsed.get("byte_range")
    sys.stdout.flush()
    if text is None:
        with scope._open(name) as source:  # noqa: SLF001 - no copy in memory
            files.copy_stream(source, sys.stdout.buffer)
        return
    sys.stdout.buffer.write(scope.gets(name, byte_range=_numbers(text)))


def _numbers(text: str) -> List[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--byte-range must be BEGIN,END, got {text!r}") from None


if __name__ == "__main__":
    _TOOLS = {"pipeline": pipeline, "user": user}
    if len(sys.argv) < 2 or sys.argv[1] not in _TOOLS:  # noqa: PLR2004 - the scope's name
        sys.exit("usage: python -m conducto.tools.data_tools pipeline|user COMMAND ...")
    sys.exit(_TOOLS[sys.argv[1]](sys.argv[2:]))
