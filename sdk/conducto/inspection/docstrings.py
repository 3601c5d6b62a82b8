"""The parts of docstrings: the text, and the description of each parameter."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Tuple

_GOOGLE = re.compile(r"(Args|Arguments|Parameters|Params|Keyword Args|Keyword Arguments):\s*$")
_SECTION = re.compile(
    r"(Args|Arguments|Parameters|Params|Keyword Args|Keyword Arguments|Returns?|Raises|Yields?|"
    r"Examples?|Notes?|Attributes|Warnings?|See Also|References|Todo):\s*$"
)
_GOOGLE_ITEM = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_NUMPY_ITEM = re.compile(r"(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?$")
_FIELD = re.compile(r":(\w+)\b([^:]*):\s*(.*)$")
_REST = ("param", "parameter", "arg", "argument", "key", "keyword")


def parse(doc: str) -> Tuple[str, Dict[str, str]]:
    r"""Return the text before any section, and ``{parameter: description}``.

    The sections of Google and numpy and the fields of reStructuredText are understood.

    >>> parse("Train.\\n\\nArgs:\\n    depth (int): Of the tree,\\n        at most 9.")
    ('Train.', {'depth': 'Of the tree, at most 9.'})
    """
    lines = doc.expandtabs().split("\n")
    found: Dict[str, str] = {}
    end = len(lines)
    for index, line in enumerate(lines):
        start = _section_at(lines, index)
        field = _FIELD.match(line.strip())
        if start or field:
            end = min(end, index)
        if start == "google":
            found.update(_items(lines[index + 1 :], _GOOGLE_ITEM))
        elif start == "numpy":
            found.update(_items(_numpy_section(lines, index + 2), _NUMPY_ITEM))
        elif field and field.group(1) in _REST:
            found.update(_rest_field(lines, index))
    return "\n".join(lines[:end]).strip(), found


def _section_at(lines: List[str], index: int) -> str:
    """Return the style of the section that begins at a line: one of parameters, or "other"."""
    text = lines[index].strip()
    under = lines[index + 1].strip() if index + 1 < len(lines) else ""
    if text and len(under) > 2 and set(under) == {"-"}:  # noqa: PLR2004
        return "numpy" if text in ("Parameters", "Other Parameters") else "other"
    if _GOOGLE.match(text):
        return "google"
    return "other" if _SECTION.match(text) else ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _numpy_section(lines: List[str], start: int) -> List[str]:
    end = next((i for i in range(start, len(lines)) if _section_at(lines, i)), len(lines))
    return lines[start:end]


def _items(lines: List[str], pattern: re.Pattern[str]) -> Dict[str, str]:
    """Return the items at the indentation of the first line; deeper lines continue an item."""
    found: Dict[str, List[str]] = {}
    names: List[str] = []
    filled = [line for line in lines if line.strip()]
    margin = _indent(filled[0]) if filled else 0
    for line in filled:
        if _indent(line) < margin or (_indent(line) == margin and _SECTION.match(line.strip())):
            break
        item = pattern.match(line.strip()) if _indent(line) == margin else None
        if item:
            names = [name.strip().lstrip("*") for name in item.group(1).split(",")]
            rest = item.group(2) if pattern.groups > 1 else ""
            found.update({name: [rest] for name in names})
        else:
            for name in names:
                found[name].append(line.strip())
    return {name: " ".join(parts).strip() for name, parts in found.items()}


def _rest_field(lines: List[str], index: int) -> Dict[str, str]:
    field = _FIELD.match(lines[index].strip())
    assert field is not None  # noqa: S101 (the caller has matched it)
    parts = [field.group(3)]
    for line in lines[index + 1 :]:
        if not line.strip() or _FIELD.match(line.strip()):
            break
        parts.append(line.strip())
    words = field.group(2).split()
    return {words[-1].lstrip("*"): " ".join(parts).strip()} if words else {}
