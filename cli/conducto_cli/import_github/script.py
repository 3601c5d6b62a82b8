"""Python source as a person and a formatter write it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conducto_cli.import_github.expressions import Code

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from conducto_cli.import_github.expressions import Text


#: A value of the script: text, code, a dict or list of values, or a call.
Value = object
#: Columns of a line, as formatters have them by default.
WIDTH = 88
_STEP = "    "


@dataclass(frozen=True, slots=True)
class Call:
    """A call, such as ``co.Exec(…)``."""

    function: str
    arguments: Sequence[Value] = ()
    parameters: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several texts, by a variable."""

    options: Mapping[str, Value]
    code: Code


def names_in(value: Value) -> Iterator[str]:
    """Yield the Python variables that a value uses."""
    if isinstance(value, Code):
        yield from value.names
    elif isinstance(value, Choice):
        yield from value.code.names
    elif isinstance(value, Call):
        yield from names_in([*value.arguments, *value.parameters.values()])
    elif isinstance(value, dict):
        yield from names_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from names_in(each)


def assignment(target: str, value: Value, indent: str = _STEP) -> str:
    """Return the line or lines of an assignment."""
    return f"{indent}{target} = {source(value, indent, len(target) + 3)}"


def source(value: Value, indent: str = "", before: int = 0, after: int = 0) -> str:
    """Return the source of a value.

    Args:
        value: The value.
        indent: Indentation of its line.
        before: Columns of the line in front of it, without the indentation.
        after: Columns behind it.
    """
    if isinstance(value, Code):
        return value.text
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, str | tuple):
        return quoted((value,) if isinstance(value, str) else value, indent)
    opening, closing, entries = _display(value)
    line = f"{opening}{', '.join(f'{name}{source(each)}' for name, each in entries)}{closing}"
    if "\n" not in line and len(indent) + before + len(line) + after <= WIDTH:
        return line
    inner = indent + _STEP
    row = line[len(opening) : len(line) - len(closing)]
    together = len(entries) == 1 or opening.startswith("co.")
    if "\n" not in line and together and len(inner) + len(row) <= WIDTH:
        return f"{opening}\n{inner}{row}\n{indent}{closing}"
    lines = [f"{inner}{name}{source(each, inner, len(name), 1)}" for name, each in entries]
    comma = "" if len(lines) == 1 and isinstance(entries[0][1], str | tuple) else ","
    return f"{opening}\n" + ",\n".join(lines) + f"{comma}\n{indent}{closing}"


def _display(value: Value) -> tuple[str, str, list[tuple[str, Value]]]:
    """Return the start and the end of the source of a value, and its entries."""
    if isinstance(value, Call):
        named = [(f"{name}=", each) for name, each in value.parameters.items()]
        return f"{value.function}(", ")", [*(("", each) for each in value.arguments), *named]
    if isinstance(value, Choice):
        opening, closing, entries = _display(value.options)
        return opening, f"{closing}[{value.code.text}]", entries
    if isinstance(value, dict):
        return "{", "}", [(f"{quoted((name,))}: ", each) for name, each in value.items()]
    return "[", "]", [("", each) for each in value] if isinstance(value, list) else []


def quoted(text: Text, indent: str = "") -> str:
    """Return text as a string, an f-string, or the name of a variable that is all of it."""
    text = tuple(part for part in text if part != "")
    if len(text) == 1 and isinstance(text[0], Code):
        return text[0].text
    formatted = any(isinstance(part, Code) for part in text)
    if any(isinstance(part, Code) and {*"'\""} <= {*part.text} for part in text):
        return " + ".join(f"({quoted((part,), indent)})" for part in text)
    plain = "".join(part for part in text if isinstance(part, str))
    block = "\n" in plain
    quote = '"""' if block else "'" if plain.count('"') > plain.count("'") else '"'
    # An f-string of Python 3.11 has no backslash and no quote of its own kind in an expression.
    raw = "\\" in plain and quote not in plain and not plain.endswith("\\") and _is_raw(plain)
    parts = []
    for part in text:
        if isinstance(part, Code):
            inner = part.text.replace('"', "'") if quote[0] == '"' else part.text.replace("'", '"')
            parts.append(f"{{{inner}}}")
            continue
        shown = part if raw else _escaped(part, quote)
        parts.append(shown.replace("{", "{{").replace("}", "}}") if formatted else shown)
    start = f"{'r' * raw}{'f' * formatted}{quote}"
    if not block:
        return f"{start}{''.join(parts)}{quote}"
    lines = "".join(parts).split("\n")
    body = "\n".join(f"{indent}{line}" if line else "" for line in lines)
    return f"{start}\n{body}\n{indent}{quote}"


def _is_raw(text: str) -> bool:
    """Return whether a raw string can hold text: it has no invisible characters."""
    return all(char.isprintable() or char in "\n\t" for char in text)


def _escaped(text: str, quote: str) -> str:
    made = text.replace("\\", "\\\\").replace(quote, f"\\{quote[0]}" + quote[1:])
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
        for char in made
    )


def identifier(text: str, taken: set[str]) -> str:
    """Return a name for a variable or function that is not taken, and take it."""
    import keyword  # noqa: PLC0415 - not for --help

    name = re.sub(r"\W+", "_", text.encode("ascii", "ignore").decode().lower()).strip("_")
    name = f"n{name}" if name[:1].isdigit() else name or "part"
    while name in taken or keyword.iskeyword(name):
        name += "_"
    taken.add(name)
    return name
