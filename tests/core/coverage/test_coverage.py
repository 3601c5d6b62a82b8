"""Coverage files of commands, lines of several commands, bases, and changed lines."""

from __future__ import annotations

import time
from typing import Any

import pytest

from conducto_core.command.masking import Mask
from conducto_core.command.server import COVERAGE_FILES, JUNIT_START, MAX_JUNIT
from conducto_core.coverage.files import MAX_FILES, with_coverage
from conducto_core.coverage.model import CoverageCounts, FileCoverage
from conducto_core.coverage.rules import (
    base_rank,
    changed_lines,
    counts,
    files_in_diff,
    listed,
    merged,
    numbers,
    percent_text,
    ranges,
    uncovered,
)
from conducto_core.results.outputs import CollectedOutputs
from conducto_core.results.records import records_in
from conducto_core.run.model.records import GitOrigin, PipelineRecord, PipelineStatus

COBERTURA = """<?xml version="1.0" ?>
<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">
<coverage line-rate="0.5">
 <sources><source>/mnt/conducto/src</source></sources>
 <packages><package name="."><classes>
  <class name="a.py" filename="a.py"><methods><method><lines><line number="1" hits="0"/></lines>
   </method></methods>
   <lines><line number="1" hits="3"/><line number="2" hits="0"/><line number="x" hits="1"/></lines>
  </class>
 </classes></package></packages>
</coverage>"""
LCOV = "TN:\nSF:/mnt/conducto/src/b.js\nDA:1,5\nDA:2,0\nDA:3,-1,abc\nend_of_record\nDA:9,1\n"
JACOCO = """<report name="x"><package name="com/acme"><sourcefile name="A.java">
<line nr="4" mi="0" ci="3" mb="0" cb="0"/><line nr="5" mi="2" ci="0" mb="0" cb="0"/>
</sourcefile></package></report>"""


def outputs(*files: str | bytes, secret: str = "") -> CollectedOutputs:
    data = b"".join(
        JUNIT_START + f"f{n}\n".encode() + (each.encode() if isinstance(each, str) else each)
        for n, each in enumerate(files)
    )
    return with_coverage(CollectedOutputs(), {COVERAGE_FILES: data}, Mask([secret]))


def stored(found: CollectedOutputs) -> dict[str, tuple[str, str]]:
    files, _ = records_in(found.streams["coverage"], FileCoverage)
    return {each.file: (each.covered, each.missed) for each in files}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (COBERTURA, {"src/a.py": ("1", "2")}),
        (LCOV, {"src/b.js": ("1", "2-3")}),
        (JACOCO, {"com/acme/A.java": ("4", "5")}),
        (COBERTURA.replace("/mnt/conducto/src", "/elsewhere"), {"a.py": ("1", "2")}),
        ("\ufeff" + COBERTURA, {"src/a.py": ("1", "2")}),
    ],
)
def test_lines_of_a_coverage_file(text: str, expected: dict[str, tuple[str, str]]) -> None:
    assert stored(outputs(text)) == expected


def test_summary_has_the_counts_of_all_files() -> None:
    summary = outputs(COBERTURA, LCOV).summary

    assert summary is not None
    assert summary.coverage == CoverageCounts(files=2, lines=5, covered=2)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "neither Cobertura or JaCoCo XML nor LCOV"),
        ("\x00\x01", "neither Cobertura or JaCoCo XML nor LCOV"),
        ("<testsuite/>", "its first element is testsuite"),
        (COBERTURA[:-90], "incomplete or invalid"),
        ('<!DOCTYPE c [<!ENTITY e "x">]><coverage/>', "declares an entity"),
        ("<coverage>" + "<a>" * 200, "nested deeper than 100"),
        (
            "SF:a\nDA:1,1\n" * 2 + "".join(f"SF:{n}\nDA:1,1\n" for n in range(MAX_FILES)),
            "more than",
        ),
    ],
)
def test_invalid_file_is_a_problem(text: str, problem: str) -> None:
    found = outputs(text)

    assert problem in "".join(found.warnings)
    assert found.summary is not None
    assert found.summary.coverage is not None
    assert found.summary.coverage.incomplete


def test_command_without_a_file_gets_a_warning() -> None:
    found = outputs()

    assert found.summary is None
    assert "no file was written" in found.warnings[0]


def test_names_of_files_are_masked_and_large_files_take_linear_time() -> None:
    text = "SF:s3cr3t.py\n" + "".join(f"DA:{n},0\n" for n in range(1, 500_000))
    before = time.process_time()
    found = outputs(text, secret="s3cr3t")

    assert len(text) < MAX_JUNIT
    assert "s3cr3t" not in str(found.streams)
    assert [lines for _, lines in stored(found).values()] == ["1-499999"]
    assert time.process_time() - before < 10


def test_line_that_one_command_ran_is_covered() -> None:
    found = merged(
        [
            FileCoverage(file="a", covered="1-3", missed="4-6"),
            FileCoverage(file="a", covered="5", missed="1,7"),
        ]
    )
    (file,) = listed(found, merged([FileCoverage(file="a", covered="1", missed="2-4")]))

    assert counts(found) == (7, 4)
    assert (file.missed, file.before) == ("4,6-7", 25.0)


def test_ranges_and_percentages() -> None:
    assert ranges(numbers("1-3,7,9-9")) == "1-3,7,9"
    assert percent_text(1999, 2000, (1, 2)) == "99.9 % (+49.9)"
    assert percent_text(0, 0) == "100.0 %"


DIFF = """diff --git a/src/a.py b/src/a.py
--- a/src/a.py
+++ b/src/a.py
@@ -1,2 +1,3 @@ def f():
 one
+two
-gone
+three
\\ No newline at end of file
@@ -10,0 +12 @@
+twelve
diff --git a/gone b/gone
--- a/gone
+++ /dev/null
@@ -1 +0,0 @@
-x
"""


def test_changed_lines_that_did_not_run() -> None:
    changed = files_in_diff(DIFF)

    assert changed == {"src/a.py": {2, 3, 12}}
    assert changed_lines(DIFF.partition("+++ b/src/a.py\n")[2].partition("diff")[0]) == {2, 3, 12}
    assert uncovered({"src/a.py": [1, 2, 3, 12], "other": [1]}, changed) == {"src/a.py": "2-3,12"}


def record(number: int, git: dict[str, Any] | None = None, title: str = "T") -> PipelineRecord:
    origin = None
    if git is not None:
        fixed = {"trigger": "app", "provider": "github", "repository": "acme/app", "section": "s"}
        origin = GitOrigin.model_validate({**fixed, "url": "", "branch": "", "sha": "", **git})
    status = PipelineStatus(settled=True)
    return PipelineRecord(
        id=f"p{number}", title=title, created=float(number), git=origin, status=status
    )


PR = {"branch": "feature", "sha": "c", "base": "b", "base_branch": "main"}


@pytest.mark.parametrize(
    ("other", "mine", "rank"),
    [
        (record(1, {"branch": "main", "sha": "b"}), record(2, PR), 0),
        (record(1, {"branch": "main", "sha": "a"}), record(2, PR), 1),
        (record(1, {"branch": "dev", "sha": "a"}), record(2, PR), None),
        (record(1, PR), record(2, PR), None),  # another commit of the pull request
        (record(1, {"branch": "main", "sha": "b", "untrusted": True}), record(2, PR), None),
        (record(1, {"branch": "main", "sha": "b", "repository": "x"}), record(2, PR), None),
        (record(1), record(2), 2),
        (record(1, title="U"), record(2), None),
        (record(3), record(2), None),
    ],
)
def test_base_of_a_pipeline(other: PipelineRecord, mine: PipelineRecord, rank: int | None) -> None:
    assert base_rank(other, mine) == rank
