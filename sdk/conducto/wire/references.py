"""References to results in commands.

While a tree is built, a command has a *mark* in place of each reference, because the path of the
node is not known yet. When the tree is printed or launched, a mark becomes the text ``<result of
PATH>``. The function's runner replaces the text by the value, if the node declares that result.
"""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Sequence

OPEN, CLOSE = "<result of ", ">"
_MARK = "\x1f"
#: The place of the item's word in the command of a map that the driver expands.
ITEM = "\x1e"


def mark(number: int, *, in_json: bool) -> str:
    """Return the mark of the reference with that number in its node."""
    return f"{_MARK}{'j' if in_json else 'w'}{number}{_MARK}"


def finish(command: str, paths: Sequence[str]) -> str:
    """Return the command with texts for marks; a mark is inside of single quotes of a shell."""
    if _MARK not in command:
        return command
    parts = command.split(_MARK)
    for index in range(1, len(parts), 2):
        kind, number = parts[index][:1], parts[index][1:]
        text = f"{OPEN}{paths[int(number)]}{CLOSE}"
        if kind == "j":
            import json

            text = json.dumps(text, ensure_ascii=False)[1:-1]
        parts[index] = text.replace("'", "'\"'\"'")
    return "".join(parts)


def path_in(text: str) -> str:
    """Return the path in a whole text ``<result of PATH>``; an empty text for any other."""
    whole = text.startswith(OPEN + "/") and text.endswith(CLOSE)
    return text[len(OPEN) : -len(CLOSE)] if whole else ""


def replaced(data: Any, value_of: Callable[[str], Any]) -> Any:
    """Return JSON data with the value for each text that is a reference."""
    if isinstance(data, str):
        path = path_in(data)
        return value_of(path) if path else data
    if isinstance(data, list):
        return [replaced(each, value_of) for each in data]
    if isinstance(data, dict):
        return {name: replaced(each, value_of) for name, each in data.items()}
    return data
