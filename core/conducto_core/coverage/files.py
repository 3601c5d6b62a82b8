"""Reads the coverage files of a command: Cobertura, JaCoCo and LCOV, within limits. No I/O.

The files are written by the command, so nothing in them is trusted: entities are refused, sizes and
numbers are limited, secrets are masked. No tree of the XML is built.
"""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from conducto_core.annotations.rules import in_code
from conducto_core.command.masking import Mask
from conducto_core.command.server import COVERAGE_FILES, MAX_JUNIT, reports_in
from conducto_core.coverage.model import MAX_PATH, CoverageCounts
from conducto_core.coverage.rules import CoveredLines, counts
from conducto_core.results.model import OutputSummary
from conducto_core.results.outputs import CollectedOutputs
from conducto_core.results.records import to_stream

#: Maximum number of files and lines of an attempt.
MAX_FILES = 10_000
MAX_LINES = 2_000_000
MAX_PROBLEMS = 20
_MAX_NUMBER = 10_000_000
_MAX_DEPTH = 100
_CHUNK = 64 << 10
_NOTHING = (
    "coverage: no file was written; compare the pattern, which is relative to the working directory"
)


class _RefusedError(Exception):
    """A file that is not read further."""


@dataclass(slots=True)
class _Kept:
    """The lines of an attempt within the limits."""

    mask: Mask
    files: dict[str, CoveredLines] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    number: int = 0
    last: tuple[str, str] = ("", "")

    def add(self, file: str, line: str, hits: str) -> None:
        """Add a line; ones with other numbers than those of lines are left out."""
        if not line.isdecimal() or not 0 < len(line) < len(str(_MAX_NUMBER)) or not int(line):
            return
        name = self._name(file)
        if name not in self.files and len(self.files) == MAX_FILES:
            raise _RefusedError(f"there are more than {MAX_FILES:,} files; the rest is left out")
        self.number += 1
        if self.number > MAX_LINES:
            raise _RefusedError(f"there are more than {MAX_LINES:,} lines; the rest is left out")
        lines = self.files.setdefault(name, CoveredLines())
        lines.known.add(int(line))
        if hits.strip("0") and not hits.startswith("-"):
            lines.covered.add(int(line))

    def _name(self, file: str) -> str:
        if self.last[0] != file:  # a file has many lines, one after the other
            shown = posixpath.normpath(self.mask.text(file).replace("\\", "/"))
            self.last = file, in_code(shown)[:MAX_PATH]
        return self.last[1]

    def problem(self, name: str, reason: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(self.mask.text(f"{name}: {reason}"))


def with_coverage(
    outputs: CollectedOutputs, files: Mapping[str, bytes], mask: Mask
) -> CollectedOutputs:
    """Return the outputs of a command with its coverage, if it wrote coverage files."""
    data = files.get(COVERAGE_FILES)
    if data is None:
        return outputs
    kept = _Kept(mask)
    for name, content in reports_in(data):
        _read(name, content, kept)
    if len(data) >= MAX_JUNIT:
        maximum = MAX_JUNIT >> 20
        kept.problem("coverage", f"the files have more than {maximum} MB; the rest is cut off")
    if not kept.files and not kept.problems:
        return CollectedOutputs(outputs.summary, outputs.streams, (*outputs.warnings, _NOTHING))
    lines, covered = counts(kept.files)
    found = CoverageCounts(
        files=len(kept.files), lines=lines, covered=covered, incomplete=bool(kept.problems)
    )
    stored = [lines.stored(name) for name, lines in sorted(kept.files.items())]
    return CollectedOutputs(
        (outputs.summary or OutputSummary()).model_copy(update={"coverage": found}),
        {**outputs.streams, "coverage": to_stream(kept.problems, stored)},
        (*outputs.warnings, *(f"coverage: {each}" for each in kept.problems)),
    )


def _read(name: str, content: bytes, kept: _Kept) -> None:
    try:
        if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            _read_xml(content, kept)
        else:
            _read_lcov(content, kept)
    except _RefusedError as error:
        kept.problem(name, str(error))
    except (expat.ExpatError, ValueError, LookupError) as error:
        kept.problem(name, f"it is incomplete or invalid: {error}; lines before that are kept")


def _read_lcov(content: bytes, kept: _Kept) -> None:
    file = ""
    found = False
    for line in content.decode(errors="replace").splitlines():
        key, _, value = line.strip().partition(":")
        if key == "SF":
            file, found = value, True
        elif key == "DA" and file:
            number, _, hits = value.partition(",")
            kept.add(file, number, hits.partition(",")[0])
        elif key == "end_of_record":
            file = ""
    if not found:
        raise _RefusedError("it is neither Cobertura or JaCoCo XML nor LCOV")


@dataclass(slots=True)
class _Xml:
    """The elements of a coverage file, one after the other."""

    kept: _Kept
    depth: int = 0
    text: str | None = None
    sources: list[str] = field(default_factory=list)
    package: str = ""
    file: str = ""
    root: str = ""

    def start(self, tag: str, given: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise _RefusedError(f"its elements are nested deeper than {_MAX_DEPTH} levels")
        if not self.root:
            self.root = tag
            if tag not in {"coverage", "report"}:
                raise _RefusedError(f"it is not a coverage file: its first element is {tag[:50]}")
        if tag == "source":
            self.text = ""
        elif tag == "package":
            self.package = given.get("name", "")
        elif tag == "class" and self.root == "coverage":
            self.file = self._in_source(given.get("filename", ""))
        elif tag == "sourcefile":
            self.file = posixpath.join(self.package, given.get("name", ""))
        elif tag == "line" and self.file:
            number = given.get("number") or given.get("nr") or ""
            self.kept.add(self.file, number, given.get("hits") or given.get("ci") or "0")

    def end(self, tag: str) -> None:
        self.depth -= 1
        if tag == "source" and self.text is not None:
            self.sources.append(self.text.strip())
            self.text = None
        elif tag in {"class", "sourcefile"}:
            self.file = ""

    def characters(self, text: str) -> None:
        if self.text is not None and len(self.text) < MAX_PATH:
            self.text += text

    def _in_source(self, file: str) -> str:
        """Return a file below the directory of the sources, if that is the code's."""
        found = (posixpath.join(each, file) for each in self.sources)
        return next((each for each in found if in_code(each) != each), file)


def _read_xml(content: bytes, kept: _Kept) -> None:
    parser = expat.ParserCreate()
    xml = _Xml(kept)
    parser.StartElementHandler = xml.start
    parser.EndElementHandler = xml.end
    parser.CharacterDataHandler = xml.characters
    parser.EntityDeclHandler = _refuse_entity
    for start in range(0, len(content), _CHUNK):
        parser.Parse(content[start : start + _CHUNK], False)
    parser.Parse(b"", True)


def _refuse_entity(*_declaration: object) -> None:
    raise _RefusedError("it declares an entity; coverage files need none, so it is not read")
