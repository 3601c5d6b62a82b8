"""Decisions about coverage: lines of several files, the base of a pipeline, changed lines. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from conducto_core.coverage.model import CoveredFile, FileCoverage
from conducto_core.programs.rules.programs import program_key
from conducto_core.run.model.records import PipelineRecord

_HUNK = re.compile(r"@@ -\d{1,9}(?:,\d{1,9})? \+(\d{1,9})(?:,\d{1,9})? @@")
_MAX_RANGES = 20_000


@dataclass(slots=True)
class CoveredLines:
    """The lines of a file; one that ran in any command is covered."""

    covered: set[int] = field(default_factory=set)
    known: set[int] = field(default_factory=set)

    @property
    def missed(self) -> set[int]:
        """The lines that did not run."""
        return self.known - self.covered

    def stored(self, file: str) -> FileCoverage:
        """Return the lines as they are stored."""
        return FileCoverage(file=file, covered=ranges(self.covered), missed=ranges(self.missed))


Coverage = Mapping[str, CoveredLines]


def merged(files: Iterable[FileCoverage]) -> dict[str, CoveredLines]:
    """Return the lines of files that several commands ran."""
    found: dict[str, CoveredLines] = {}
    for each in files:
        lines = found.setdefault(each.file, CoveredLines())
        ran = set(numbers(each.covered))
        lines.covered |= ran
        lines.known |= ran | set(numbers(each.missed))
    return found


def counts(coverage: Coverage) -> tuple[int, int]:
    """Return the number of lines, and of covered ones."""
    return (
        sum(len(each.known) for each in coverage.values()),
        sum(len(each.covered) for each in coverage.values()),
    )


def percent(covered: int, lines: int) -> float:
    """Return a percentage, rounded down: only complete coverage is 100.

    >>> percent(1999, 2000)
    99.9
    """
    return 100.0 if not lines else covered * 1000 // lines / 10


def percent_text(covered: int, lines: int, base: tuple[int, int] | None = None) -> str:
    """Return a percentage and the difference from the base.

    >>> percent_text(3, 4, (1, 2))
    '75.0 % (+25.0)'
    """
    text = f"{percent(covered, lines):.1f} %"
    if base is None:
        return text
    return f"{text} ({percent(covered, lines) - percent(*base):+.1f})"


def listed(coverage: Coverage, base: Coverage) -> list[CoveredFile]:
    """Return the files, those with most missed lines first."""
    found = [
        CoveredFile(
            file=name,
            lines=len(lines.known),
            covered=len(lines.covered),
            missed=ranges(lines.missed),
            before=_before(base.get(name)),
        )
        for name, lines in coverage.items()
    ]
    return sorted(found, key=lambda each: (each.covered - each.lines, each.file))


def _before(lines: CoveredLines | None) -> float | None:
    return None if lines is None else percent(len(lines.covered), len(lines.known))


def ranges(lines: Iterable[int]) -> str:
    """Return numbers of lines as a text.

    >>> ranges([3, 1, 2, 7])
    '1-3,7'
    """
    parts: list[list[int]] = []
    for number in sorted(lines):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in parts[:_MAX_RANGES])


def numbers(text: str) -> Iterator[int]:
    """Yield the numbers of lines in a text of `ranges`."""
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


# ----------------------------------------------------------------------------------------
# The lines that a commit changed.


def changed_lines(patch: str) -> set[int]:
    """Return the numbers of the lines that the unified difference of one file adds."""
    found: set[int] = set()
    at = 0
    for line in patch.splitlines():
        hunk = _HUNK.match(line)
        if hunk is not None:
            at = int(hunk[1])
        elif at and line.startswith("+"):
            found.add(at)
            at += 1
        elif at and line.startswith(" "):
            at += 1
    return found


def files_in_diff(diff: str) -> dict[str, set[int]]:
    """Return ``{file: added lines}`` of the output of ``git diff``."""
    found: dict[str, set[int]] = {}
    for part in ("\n" + diff).split("\ndiff --git ")[1:]:
        head, _, hunks = part.partition("\n@@")
        names = [line[6:] for line in head.splitlines() if line.startswith("+++ b/")]
        if names:
            found[names[0].rstrip("\t")] = changed_lines("@@" + hunks)
    return found


def uncovered(
    missed: Mapping[str, Iterable[int]], changed: Mapping[str, set[int]]
) -> dict[str, str]:
    """Return ``{file: lines}`` of the changed lines that did not run."""
    found = {
        name: ranges(changed[name].intersection(lines))
        for name, lines in missed.items()
        if name in changed
    }
    return {name: lines for name, lines in sorted(found.items()) if lines}


# ----------------------------------------------------------------------------------------
# The pipeline that is compared with.


def base_rank(other: PipelineRecord, record: PipelineRecord) -> int | None:
    """Return how well a pipeline serves as the base of another one, 0 is best; None: not at all."""
    if other.id == record.id or other.created >= record.created or not other.status.settled:
        return None
    mine, theirs = record.git, other.git
    of_base = mine is not None and theirs is not None and bool(mine.base_branch)
    if mine is not None and theirs is not None and of_base:
        if theirs.repository != mine.repository or theirs.untrusted or theirs.base_branch:
            return None
        if theirs.sha == mine.base:
            return 0
        return 1 if theirs.branch == mine.base_branch else None
    same = program_key(other) == program_key(record)
    if not same:
        return None
    branches = (mine.branch if mine else None, theirs.branch if theirs else None)
    return 2 if branches[0] == branches[1] else 3
