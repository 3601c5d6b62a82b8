"""Differences of two attempts of one Exec: a pure function of their records and output."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from conducto_core.programs.rules.comparison import seconds_of
from conducto_core.run.model.labels import cause_text, duration
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.states import FAILED

#: Lines that the comparison of one text has at most.
MAX_LINES = 200
_CONTEXT = 2


@dataclass(frozen=True, slots=True)
class Side:
    """One attempt.

    Attributes:
        output: ``{stream: last lines of what it printed}``.
    """

    record: AttemptRecord
    output: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class AttemptDifference:
    """One thing that is not the same.

    Attributes:
        what: ``command``, ``env``, ``image``, ``cpu``, ``mem``, ``stdout`` or ``stderr``.
        lines: As in a unified diff: each begins with ``-``, ``+``, a blank or ``@@``.
        hidden: Further lines that were left out.
    """

    what: str
    lines: tuple[str, ...]
    hidden: int = 0


def differences(old: Side, new: Side) -> Iterator[AttemptDifference]:
    """Yield the differences, the causes before the effects."""
    yield from _texts("command", old.record.command.splitlines(), new.record.command.splitlines())
    yield from _env(old.record.env, new.record.env)
    for name in ("image", "cpu", "mem"):
        before, after = getattr(old.record, name), getattr(new.record, name)
        if before != after:
            yield AttemptDifference(name, (f"-{_value_text(before)}", f"+{_value_text(after)}"))
    for stream in ("stdout", "stderr"):
        yield from _texts(stream, old.output[stream], new.output[stream])


def _value_text(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _env(before: dict[str, str], after: dict[str, str]) -> Iterator[AttemptDifference]:
    lines: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        if name not in _OWN and before.get(name) != after.get(name):
            if name in before:
                lines.append(f"-{name}={before[name]}")
            if name in after:
                lines.append(f"+{name}={after[name]}")
    if lines:
        yield AttemptDifference("env", tuple(lines))


#: Differs between any two attempts.
_OWN = frozenset({"CONDUCTO_ATTEMPT"})


def _texts(what: str, before: Sequence[str], after: Sequence[str]) -> Iterator[AttemptDifference]:
    lines = list(difflib.unified_diff(before, after, n=_CONTEXT, lineterm=""))[2:]
    if lines:
        if lines[0].startswith("@@ -1") and not any(line.startswith("@@") for line in lines[1:]):
            del lines[0]  # it is all of the text, or its beginning
        shown = tuple(lines[:MAX_LINES])
        yield AttemptDifference(what, shown, len(lines) - len(shown))


def ending(record: AttemptRecord) -> str:
    """Return the state of an attempt and its duration: ``error, exit 1, 3.0s``."""
    facts = [record.state.value]
    if record.state in FAILED:
        facts.append(cause_text(record.cause, record.exit_code))
    seconds = seconds_of(record)
    if seconds is not None:
        facts.append(duration(seconds))
    return ", ".join(dict.fromkeys(facts))


def document(path: str, old: Side, new: Side) -> dict[str, Any]:
    """Return the document of ``conducto diff --json``."""
    found = {each.what: list(each.lines) for each in differences(old, new)}
    return {
        "path": path,
        "attempts": [_ending(old.record), _ending(new.record)],
        "differences": found,
    }


def _ending(record: AttemptRecord) -> dict[str, Any]:
    kept = {"number", "state", "cause", "exit_code", "message", "image", "started", "ended"}
    return record.model_dump(mode="json", include=kept)
