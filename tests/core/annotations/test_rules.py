"""Annotations: of `co.annotate`, of failed tests, and in the output of known programs."""

from __future__ import annotations

import json
import time

import pytest

from conducto_core.annotations.model import Annotation, AnnotationSource, Level, line_of
from conducto_core.annotations.rules import (
    Found,
    is_in_repository,
    of_tests,
    ordered,
    problems_in,
)
from conducto_core.annotations.stream import with_annotations
from conducto_core.command.masking import Mask
from conducto_core.results.outputs import CollectedOutputs
from conducto_core.results.records import records_in
from conducto_core.test_results.model import PipelineTest, TestOutcome

#: ``(output, annotation)`` as the programs print them.
OUTPUTS = [
    ("src/a.c:12:5: error: expected ';' before '}'", "src/a.c:12: error: expected ';' before '}'"),
    ("src/a.c:13: warning: unused", "src/a.c:13: warning: unused"),
    ("a.h:1:1: fatal error: x.h: No such file", "a.h:1: error: x.h: No such file"),
    (
        "lib/x.py:3: error: Incompatible types  [assignment]",
        "lib/x.py:3: error: Incompatible types  [assignment]",
    ),
    ("lib/x.py:3:8: F401 'os' imported", "lib/x.py:3: error: F401: 'os' imported"),
    ("F401 `os` imported\n --> lib/y.py:1:8", "lib/y.py:1: error: F401: `os` imported"),
    ("error[E0425]: no `x`\n --> src/m.rs:4:5", "src/m.rs:4: error: E0425: no `x`"),
    (
        "src/i.js:1:8: Missing semicolon. [Warning/semi]",
        "src/i.js:1: warning: semi: Missing semicolon.",
    ),
    ("src/a.ts(10,5): error TS2322: Type 'x'", "src/a.ts:10: error: TS2322: Type 'x'"),
    ("src/a.ts:10:5 - error TS2322: Type 'x'", "src/a.ts:10: error: TS2322: Type 'x'"),
    (
        "\x1b[1mE   assert 1 == 2\x1b[0m\nE    +  where 1\ntests/test_a.py:12: AssertionError",
        "tests/test_a.py:12: error: AssertionError: assert 1 == 2",
    ),
    (
        "::error file=app.js,line=1,title=Lint::Missing%0Asemicolon%25",
        "app.js:1: error: Lint: Missing semicolon%",
    ),
    ("::notice file=/mnt/conducto/a/./b.js::Note", "a/b.js: notice: Note"),
]


@pytest.mark.parametrize(("output", "expected"), OUTPUTS)
def test_problem_in_the_output_of_a_program(output: str, expected: str) -> None:
    assert [line_of(each) for each in problems_in(f"before\n{output}\nafter\n")] == [expected]


@pytest.mark.parametrize(
    "line",
    [
        "2026-12-01 10:12:01: error: nothing",
        "src/a.c:13: note: here",
        "error: no file",
        "::set-output name=x::1",
        "::error::no file",
        "::error file=a.js,line=99999999999::x".replace("99999999999", "1" * 600),
        " --> a.py:1:1",
        "",
    ],
)
def test_other_lines_are_ignored(line: str) -> None:
    assert list(problems_in(line)) == []


def test_hostile_output_takes_linear_time() -> None:
    lines = ["a:" * 1000, " " * 2000, "a" * 3000, "a:1:" * 500, "-->" * 600, "E" + "  " * 900]
    text = "\n".join(line for line in lines for _ in range(500))
    before = time.process_time()

    assert list(problems_in(text)) == []
    assert time.process_time() - before < 5


def collected(*lines: object, secret: str = "") -> CollectedOutputs:
    data = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    return with_annotations(CollectedOutputs(), {"annotations": data}, Mask([secret]))


def test_lines_of_a_command_are_kept_within_the_limits() -> None:
    given = {"file": "/mnt/conducto/a.py", "line": 3, "level": "warning", "message": "uses s3cr3t"}
    outputs = collected(
        given,
        {"file": "a.py", "message": "x" * 5000},
        {"file": "a.py", "level": "loud", "message": "m"},
        {"file": "", "message": "m"},
        {"file": "a.py", "line": -1, "message": "m"},
        "text",
        secret="s3cr3t",
    )
    first, second = records_in(outputs.streams["annotations"], Annotation)[0]

    assert (first.file, first.line, first.level) == ("a.py", 3, Level.WARNING)
    assert "s3cr3t" not in first.message
    assert len(second.message) == 4000
    assert outputs.summary is not None
    assert outputs.summary.annotations == 2
    assert outputs.warnings == ("4 annotations were not kept: they are invalid; use co.annotate",)


def test_number_of_annotations_is_limited() -> None:
    outputs = collected(*({"file": "a", "message": f"{n}"} for n in range(1002)))

    assert len(records_in(outputs.streams["annotations"], Annotation)[0]) == 1000
    assert outputs.warnings == ("the first 1,000 annotations were kept; 2 were not",)


def test_failed_tests_with_a_file_have_annotations() -> None:
    failed = PipelineTest(
        name="t::a", outcome=TestOutcome.FAILED, path="/a", attempt=1, file="t.py", line=4
    )
    quarantined = failed.model_copy(update={"name": "t::b", "quarantined": True, "message": "no"})
    found = of_tests([failed, quarantined, failed.model_copy(update={"file": None})])

    assert [line_of(each.annotations[0]) for each in found] == [
        "t.py:4: error: t::a: failed",
        "t.py:4: warning: t::b: no",
    ]


def test_errors_come_first_and_repetitions_once() -> None:
    texts = ["b.c:2:1: warning: w", "a.c:9:1: error: e", "a.c:9:1: error: e", "a.c:1:1: error: f"]
    found = Found("/x", 2, AnnotationSource.OUTPUT, list(problems_in("\n".join(texts))))
    listed = ordered([found, found])

    assert [(each.file, each.line) for each in listed] == [("a.c", 1), ("a.c", 9), ("b.c", 2)]
    assert {(each.path, each.attempt, each.source) for each in listed} == {("/x", 2, "output")}


@pytest.mark.parametrize("file", ["/etc/passwd", "../a", "a/../../b", "a\\b"])
def test_file_outside_of_the_repository(file: str) -> None:
    assert is_in_repository("src/a.py")
    assert not is_in_repository(file)
