"""``conducto metric``, ``artifact`` and ``result``, for commands in any language."""

from __future__ import annotations

from conducto import results
from conducto.errors import UsageError
from conducto.tools.arguments import ToolCommand, print_usage, run_tool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional, Sequence

#: The commands; ``{name: help}``.
COMMANDS = {
    "metric": "record a point of a metric of the node",
    "artifact": "declare a file as an artifact of the node",
    "result": "print the result of another node as JSON; with --each, a line for each item",
}
_PARAMETERS: Dict[str, ToolCommand] = {
    "metric": ToolCommand(("name", "value")),
    "artifact": ToolCommand(("path",)),
    "result": ToolCommand(("path",), flags=("each",)),
}
_OPTIONS = {"metric": ("step",), "artifact": ("title",), "result": ()}
_USAGE = {
    "metric": "usage: conducto metric NAME VALUE [--step N]",
    "artifact": "usage: conducto artifact PATH [--title TEXT]",
    "result": "usage: conducto result PATH [--each]; the node needs results=[PATH]",
}


def run(name: str, words: Sequence[str]) -> int:
    """Run one of `COMMANDS`; return its exit code: 0, 1 failed, 2 wrong usage."""
    if any(word in {"-h", "--help"} for word in words[:1]):
        return print_usage(f"{_USAGE[name]}\n\n{COMMANDS[name]}")
    return run_tool(f"conducto {name}", _USAGE[name], lambda: _run(name, words))


def _run(name: str, words: Sequence[str]) -> int:
    parsed = _PARAMETERS[name].parse(words, options=_OPTIONS[name])
    values = parsed.values
    if name == "metric":
        step = values.get("step")
        results.metric(values["name"], _number(values["value"]), _step(step))
    elif name == "artifact":
        print(results.artifact(values["path"], values.get("title", "")))
    else:
        import json  # noqa: PLC0415 (when needed)

        value = results.value_of(values["path"])
        if parsed.flags.get("each") and not isinstance(value, list):
            raise UsageError(f"--each needs a list, the result of {values['path']} is {value!r}")
        for each in value if parsed.flags.get("each") else [value]:
            print(json.dumps(each))
    return 0


def _step(text: Optional[str]) -> Optional[float]:
    return None if text is None else _number(text)


def _number(text: str) -> float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise UsageError(f"expected a number, got {text!r}")
