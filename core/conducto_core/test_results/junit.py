"""Reads the JUnit files of a command: results of single tests, within limits. No I/O.

The files are written by the command, so nothing in them is trusted: document types, and with them
entities, are refused; sizes, depths and numbers are limited; secrets are masked.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from xml.etree import ElementTree as ET

from junitparser import Error, Failure, Skipped
from junitparser.xunit2 import TestCase

from conducto_core.command.masking import Mask
from conducto_core.command.server import JUNIT_FILES, MAX_JUNIT, reports_in
from conducto_core.results.model import OutputSummary
from conducto_core.results.outputs import CollectedOutputs
from conducto_core.results.records import to_stream
from conducto_core.test_results.model import MAX_NAME, TestCounts, TestOutcome, TestResult

#: Maximum number of tests of an attempt that are kept; more are counted.
MAX_TESTS = 5_000
#: Maximum number of tests of a file that are counted.
MAX_COUNTED = 200_000
#: Maximum characters of the message and the output of a test, and of all of an attempt.
MAX_TEXT = 4_000
MAX_ALL_TEXT = 2 << 20
MAX_PROBLEMS = 20
_MAX_MESSAGE = 300
_MAX_DEPTH = 100
_MAX_DIGITS = 8
_CHUNK = 64 << 10
_NOTHING = (
    "junit: no file with tests was written; compare the pattern, which is relative to the working "
    "directory"
)
_NOT_SHOWN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class _RefusedError(Exception):
    """A file that is not read further."""


class _Cases(ET.TreeBuilder):
    """Builds the elements of test cases, one after the other, and keeps none of them."""

    def __init__(self) -> None:
        super().__init__()
        self._open: list[ET.Element] = []
        self._in_case = 0
        self._number = 0
        self.found: list[tuple[TestCase, dict[str, str]]] = []

    def doctype(self, _name: str, _public: str | None, _system: str | None) -> None:
        raise _RefusedError("it has a document type; JUnit files need none, so it is not read")

    def start(self, tag: str, attributes: Mapping[str, str]) -> ET.Element:
        if len(self._open) == _MAX_DEPTH:
            raise _RefusedError(f"its elements are nested deeper than {_MAX_DEPTH} levels")
        element = super().start(tag.rpartition("}")[2], dict(attributes))
        self._open.append(element)
        self._in_case += element.tag == "testcase"
        return element

    def end(self, tag: str) -> ET.Element:
        element = super().end(tag.rpartition("}")[2])
        self._open.pop()
        if element.tag == "testcase":
            self._in_case -= 1
            self._number += 1
            if self._number > MAX_COUNTED:
                raise _RefusedError(f"it has more than {MAX_COUNTED:,} tests; the rest is left out")
            files = (each.get("file") for each in reversed(self._open))
            file = next(filter(None, files), "")
            case = TestCase.fromelem(element)  # type: ignore[no-untyped-call]
            self.found.append((case, {"file": file, **element.attrib}))
        if not self._in_case and self._open:
            del self._open[-1][-1:]
        return element


@dataclass(slots=True)
class _Kept:
    """The tests of an attempt within the limits; failures have precedence."""

    mask: Mask
    counts: TestCounts = field(default_factory=TestCounts)
    failures: list[TestResult] = field(default_factory=list)
    others: list[TestResult] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    numbers: dict[TestOutcome, int] = field(default_factory=lambda: dict.fromkeys(TestOutcome, 0))
    seconds: float = 0.0
    text_left: int = MAX_ALL_TEXT

    def add(self, case: TestCase, attributes: Mapping[str, str]) -> None:
        outcome, seconds = _outcome(case), _seconds(attributes.get("time", ""))
        file, line = attributes.get("file"), attributes.get("line", "")
        self.numbers[outcome] += 1
        self.seconds += seconds
        kept = self.failures if outcome is TestOutcome.FAILED else self.others
        if len(kept) == MAX_TESTS:
            return
        message, output = ("", "")
        if outcome is not TestOutcome.PASSED:
            message, output = self._texts(case)
        kept.append(
            TestResult(
                name=self._shown(_name(case))[:MAX_NAME],
                outcome=outcome,
                seconds=seconds,
                file=self._shown(file)[:MAX_NAME] if file else None,
                line=int(line) if line.isdecimal() and len(line) <= _MAX_DIGITS else None,
                message=message,
                output=output,
            )
        )

    def _texts(self, case: TestCase) -> tuple[str, str]:
        """Return message and output of a test that did not simply pass."""
        results = [*case.result, *case.interim_result]
        text = next((each.text for each in results if each.text), None) or ""
        message = next((each.message for each in results if each.message), None) or ""
        message = message or next(iter(text.strip().splitlines()), "")
        printed = [case.system_out, case.system_err] if not text else []
        output = "\n".join(filter(None, (text, *printed))).strip("\n")
        message = self._shown(message.strip())[:_MAX_MESSAGE]
        room = min(MAX_TEXT, max(0, self.text_left)) - len(message)
        output = _shortened(self._shown(output), room) if room > 0 else ""
        self.text_left -= len(message) + len(output)
        return message, output

    def _shown(self, text: str) -> str:
        return _NOT_SHOWN.sub("\ufffd", self.mask.text(text))

    def problem(self, name: str, reason: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(self._shown(f"{name}: {reason}"))

    def finished(self) -> tuple[TestCounts, list[TestResult]]:
        tests = [*self.failures, *self.others][:MAX_TESTS]
        counts = TestCounts(
            **{outcome.value: number for outcome, number in self.numbers.items()},
            left_out=sum(self.numbers.values()) - len(tests),
            seconds=round(self.seconds, 3),
            incomplete=bool(self.problems),
        )
        return counts, tests


def with_tests(
    outputs: CollectedOutputs, files: Mapping[str, bytes], mask: Mask
) -> CollectedOutputs:
    """Return the outputs of a command with the results of its tests, if it wrote JUnit files."""
    data = files.get(JUNIT_FILES)
    if data is None:
        return outputs
    kept = _Kept(mask)
    for name, content in reports_in(data):
        _read(name, content, kept)
    if len(data) >= MAX_JUNIT:
        kept.problem(
            "JUnit files", f"they have more than {MAX_JUNIT >> 20} MB; the rest is cut off"
        )
    counts, tests = kept.finished()
    if not counts.total and not kept.problems:
        return replace(outputs, warnings=(*outputs.warnings, _NOTHING))
    summary = (outputs.summary or OutputSummary()).model_copy(update={"tests": counts})
    return CollectedOutputs(
        summary,
        {**outputs.streams, "tests": to_stream(kept.problems, tests)},
        (*outputs.warnings, *(f"junit: {each}" for each in kept.problems)),
    )


def _read(name: str, content: bytes, kept: _Kept) -> None:
    if not content.strip():
        kept.problem(name, "it is empty")
        return
    cases = _Cases()
    parser = ET.XMLParser(target=cases)  # noqa: S314  document types are refused
    try:
        for start in range(0, len(content), _CHUNK):
            parser.feed(content[start : start + _CHUNK])
            _drain(cases, kept)
        parser.close()
    except _RefusedError as error:
        kept.problem(name, str(error))
    except (ET.ParseError, ValueError, LookupError) as error:
        kept.problem(
            name, f"its XML is incomplete or invalid: {error}; tests before that place are kept"
        )
    _drain(cases, kept)


def _drain(cases: _Cases, kept: _Kept) -> None:
    for case, attributes in cases.found:
        kept.add(case, attributes)
    cases.found.clear()


def _name(case: TestCase) -> str:
    name = " ".join((case.name or "").split()) or "(no name)"
    return f"{case.classname}::{name}" if case.classname else name


def _outcome(case: TestCase) -> TestOutcome:
    results = case.result
    if any(isinstance(each, Failure | Error) for each in results):
        return TestOutcome.FAILED
    if any(isinstance(each, Skipped) for each in results):
        return TestOutcome.SKIPPED
    return TestOutcome.FLAKY if case.interim_result else TestOutcome.PASSED


def _seconds(text: str) -> float:
    try:
        seconds = float(text.replace(",", "") or 0)
    except ValueError:
        return 0.0
    return round(seconds, 4) if isfinite(seconds) and seconds > 0 else 0.0


def _shortened(text: str, room: int) -> str:
    """Return a text with its start and most of its end, where errors usually are."""
    if len(text) <= room:
        return text
    start, gap = room // 4, "\n…\n"
    end = max(1, room - start - len(gap))
    return f"{text[:start]}{gap}{text[-end:]}"
