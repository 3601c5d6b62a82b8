"""Annotations in the output of compilers, linters and tests, and those of a pipeline. Pure.

The patterns read one line and have no nested repetition; a part ends at a character that it cannot
contain. So the time is proportional to the length of the output, whatever a command prints.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError

from conducto.wire.outputs import MAX_ANNOTATION
from conducto_core.annotations.model import (
    MAX_PATH,
    MAX_TITLE,
    Annotation,
    AnnotationSource,
    Level,
    NodeAnnotation,
)
from conducto_core.diagnosis.rules.first_error import clean
from conducto_core.images.model import CODE_DIR
from conducto_core.test_results.model import PipelineTest

#: Maximum characters of a line that is matched.
MAX_LINE = 2000
_ORDER = {level: number for number, level in enumerate(Level)}


def valid(line: Mapping[str, object]) -> Annotation:
    """Return an annotation with texts that are shown as they are; raises `ValidationError`."""
    texts = {"file": MAX_PATH, "message": MAX_ANNOTATION, "title": MAX_TITLE}
    shown = {
        key: clean(value)[: texts[key]] if key in texts and isinstance(value, str) else value
        for key, value in line.items()
    }
    if isinstance(shown.get("file"), str):
        shown["file"] = in_code(str(shown["file"]))
    return Annotation.model_validate(shown)


def in_code(file: str) -> str:
    """Return a path relative to the directory of the code, if it is below it.

    >>> in_code("/mnt/conducto/src/./a.py")
    'src/a.py'
    """
    parts = [part for part in file.removeprefix(f"{CODE_DIR}/").split("/") if part != "."]
    return "/".join(parts)


def is_in_repository(file: str) -> bool:
    """Return whether a path can be that of a file of a repository."""
    return not file.startswith("/") and ".." not in file.split("/") and "\\" not in file


# ----------------------------------------------------------------------------------------
# The output of programs.


_FILE = r"(?P<file>[^\s:()][^:()\n]{0,300})"
_PLACE = _FILE + r":(?P<line>\d{1,7})(?::\d{1,7})?"
#: GCC and clang, mypy, and `tsc` with and without ``--pretty``.
_COMPILER = re.compile(
    _PLACE + r"(?: -|:) (?P<level>fatal error|error|warning) ?(?P<title>TS\d{1,6})?:"
    r" (?P<message>.+)"
)
_TSC = re.compile(
    _FILE + r"\((?P<line>\d{1,7}),\d{1,7}\): (?P<level>error|warning) (?P<title>TS\d{1,6}):"
    r" (?P<message>.+)"
)
#: ruff and flake8: ``a.py:1:8: F401 'os' imported but unused``.
_LINTER = re.compile(_PLACE + r": (?P<title>[A-Z]{1,4}\d{1,5}) (?P<message>.+)")
#: ``eslint --format unix``: ``a.js:1:8: 'x' is not defined. [Error/no-undef]``.
_ESLINT = re.compile(
    _PLACE + r": (?P<message>[^\[]+)\[(?P<level>Error|Warning)/(?P<title>[^\]]{1,100})\]"
)
#: The end of a traceback of pytest: ``tests/test_a.py:12: AssertionError``.
_PYTEST = re.compile(
    r"(?P<file>[^\s:][^:\n]{0,300}\.py):(?P<line>\d{1,7}): (?P<title>[A-Z]\w{2,60})"
)
_PYTEST_LINE = "E   "
#: ruff and rustc: a message, then ``  --> a.py:1:8``.
_ARROW = re.compile(r" {0,8}--> " + _PLACE)
_BEFORE_ARROW = re.compile(
    r"(?:(?P<level>error|warning)(?:\[(?P<title>\w{1,20})\])?:|(?P<code>[A-Z]{1,4}\d{1,5})) "
    r"(?P<message>.+)"
)
#: ``::error file=a.js,line=1,title=Lint::message``, as commands of GitHub Actions.
_WORKFLOW = re.compile(
    r"::(?P<level>error|warning|notice) (?P<fields>[^:]{1,500})::(?P<message>.+)"
)
_ESCAPES = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))
#: A time such as ``12:01:02`` has places, too.
_NAMES_A_FILE = re.compile(r"[A-Za-z_]")
_LINE_PATTERNS = (_COMPILER, _TSC, _LINTER, _ESLINT)


def problems_in(text: str) -> Iterator[Annotation]:
    """Yield the problems that known programs printed."""
    before = reason = ""
    for raw in text.splitlines():
        line = clean(raw[:MAX_LINE]).rstrip()
        if line.startswith(_PYTEST_LINE):
            reason = reason or line.removeprefix(_PYTEST_LINE).strip()
        fields = _fields_of(line, before, reason)
        if fields is not None and _NAMES_A_FILE.search(str(fields["file"])):
            reason = ""
            with suppress(ValidationError):
                yield valid(fields)
        before = line


def _fields_of(line: str, before: str, reason: str) -> dict[str, object] | None:
    """Return the fields of an annotation in a line; ``before`` is the line before it."""
    if line.startswith("::"):
        return _workflow_command(line)
    arrow = _ARROW.fullmatch(line)
    if arrow is not None:
        head = _BEFORE_ARROW.fullmatch(before)
        return None if head is None else _fields({**head.groupdict(), **arrow.groupdict()})
    for pattern in _LINE_PATTERNS:
        if (match := pattern.fullmatch(line)) is not None:
            return _fields(match.groupdict())
    end = _PYTEST.fullmatch(line)
    if end is not None:
        return _fields({**end.groupdict(), "message": reason or end["title"]})
    return None


def _fields(found: Mapping[str, str | None]) -> dict[str, object]:
    level = (found.get("level") or "error").lower()
    return {
        "file": (found.get("file") or "").strip(),
        "line": int(found.get("line") or 0),
        "level": level if level in set(Level) else Level.ERROR,
        "message": (found.get("message") or "").strip(),
        "title": found.get("title") or found.get("code") or "",
    }


def _workflow_command(line: str) -> dict[str, object] | None:
    match = _WORKFLOW.fullmatch(line)
    if match is None:
        return None
    given = dict(part.partition("=")[::2] for part in match["fields"].split(","))
    number = given.get("line", "")
    return _fields(
        {
            "file": _unescaped(given.get("file", "")),
            "line": number if number.isdecimal() and len(number) <= len("1234567") else None,
            "level": match["level"],
            "title": _unescaped(given.get("title", "")),
            "message": _unescaped(match["message"]),
        }
    )


def _unescaped(text: str) -> str:
    for escape, character in _ESCAPES:
        text = text.replace(escape, character)
    return text


# ----------------------------------------------------------------------------------------
# The annotations of a pipeline.


@dataclass(frozen=True, slots=True)
class Found:
    """Annotations of one attempt, from one source."""

    path: str
    attempt: int
    source: AnnotationSource
    annotations: Sequence[Annotation]


def of_tests(tests: Iterable[PipelineTest]) -> list[Found]:
    """Return the annotations of failed tests whose file is known."""
    return [
        Found(
            test.path,
            test.attempt,
            AnnotationSource.TEST,
            [
                Annotation(
                    file=in_code(test.file)[:MAX_PATH],
                    line=test.line or 0,
                    level=Level.WARNING if test.quarantined else Level.ERROR,
                    message=clean(test.message or "failed")[:MAX_ANNOTATION],
                    title=test.name[:MAX_TITLE],
                )
            ],
        )
        for test in tests
        if test.file
    ]


def ordered(found: Iterable[Found]) -> list[NodeAnnotation]:
    """Return annotations without repetitions, errors first, then by file and line."""
    known: dict[tuple[str, int, str], NodeAnnotation] = {}
    for each in found:
        for one in each.annotations:
            node = NodeAnnotation(
                **one.model_dump(), path=each.path, attempt=each.attempt, source=each.source
            )
            known.setdefault((one.file, one.line, one.message), node)
    return sorted(known.values(), key=lambda one: (_ORDER[one.level], one.file, one.line, one.path))
