"""JUnit files: the tests that are kept, limits, and refused files."""

import json
import time

import pytest

from conducto_core.command.masking import Mask
from conducto_core.command.server import JUNIT_FILES, JUNIT_START, MAX_JUNIT
from conducto_core.results.outputs import CollectedOutputs
from conducto_core.results.records import records_in
from conducto_core.test_results.junit import MAX_COUNTED, MAX_TESTS, MAX_TEXT, with_tests
from conducto_core.test_results.model import TestCounts, TestOutcome, TestResult

NONE = Mask(())
PYTEST = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" tests="4">
<testcase classname="tests.test_shop.TestCart" name="test_total" time="0.25"
 file="tests/test_shop.py" line="7">
<failure message="assert 3 == 4">def test_total():
>   assert 3 == 4
E   assert 3 == 4</failure></testcase>
<testcase classname="tests.test_shop" name="test_ok[a b]" time="0.001"/>
<testcase classname="tests.test_shop" name="test_later" time="0">
<skipped type="pytest.skip" message="not yet">x</skipped></testcase>
<testcase classname="tests.test_shop" name="test_db" time="1.5">
<error message="failed on setup">no server</error>
<system-out>printed</system-out></testcase>
</testsuite></testsuites>"""


def collected(*contents, mask=NONE):
    data = b"".join(JUNIT_START + f"{n}.xml\n".encode() + each for n, each in enumerate(contents))
    return with_tests(CollectedOutputs(), {JUNIT_FILES: data[:MAX_JUNIT]}, mask)


def read(*contents, mask=NONE):
    return records_in(collected(*contents, mask=mask).streams["tests"], TestResult)[0]


def problems_of(*contents):
    return records_in(collected(*contents).streams["tests"], TestResult)[1]


def suite(cases):
    return b"<testsuite>" + cases + b"</testsuite>"


def test_file_of_pytest_is_read():
    found = collected(PYTEST)

    assert found.summary.tests == TestCounts(passed=1, failed=2, skipped=1, seconds=1.751)
    assert found.warnings == ()
    first, second, third, fourth = records_in(found.streams["tests"], TestResult)[0]
    assert first.name == "tests.test_shop.TestCart::test_total"
    assert (first.outcome, first.seconds, first.file, first.line) == (
        TestOutcome.FAILED,
        0.25,
        "tests/test_shop.py",
        7,
    )
    assert first.message == "assert 3 == 4"
    assert first.output.endswith("E   assert 3 == 4")
    assert (second.name, second.message) == ("tests.test_shop::test_db", "failed on setup")
    assert (third.name, third.outcome) == ("tests.test_shop::test_ok[a b]", TestOutcome.PASSED)
    assert (fourth.outcome, fourth.message) == (TestOutcome.SKIPPED, "not yet")


def test_several_files_are_one_result():
    assert collected(PYTEST, PYTEST).summary.tests.total == 8


def test_rerun_inside_the_framework_is_flaky():
    case = b'<testcase name="t"><flakyFailure message="once">trace</flakyFailure></testcase>'

    (test,) = read(suite(case))

    assert (test.outcome, test.message, test.output) == (TestOutcome.FLAKY, "once", "trace")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_encodings(encoding):
    name = {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    text = f'<?xml version="1.0" encoding="{name}"?><testsuite><testcase name="größe"/></testsuite>'

    assert [each.name for each in read(text.encode(encoding))] == ["größe"]


@pytest.mark.parametrize("encoding", ["shift_jis", "klingon", "utf-7"])
def test_unknown_encoding_is_a_problem(encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?><testsuite><testcase name="a"/></testsuite>'

    (problem,) = problems_of(text.encode())

    assert problem.startswith("0.xml: ")


BOMB = (
    b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">%s]><testsuite><testcase name="&l8;"/></testsuite>'
    % (
        b"".join(
            b'<!ENTITY l%d "%s">' % (n, b"&%s;" % (b"a" if n == 0 else b"l%d" % (n - 1)) * 10)
            for n in range(9)
        )
    )
)


@pytest.mark.parametrize(
    "file",
    [
        BOMB,
        BOMB.decode().encode("utf-16"),
        b'<!DOCTYPE x SYSTEM "http://localhost/x.dtd"><testsuite/>',
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><a><testcase name="&e;"/></a>',
    ],
    ids=["billion laughs", "in utf-16", "external", "file"],
)
def test_document_type_is_refused(file):
    began = time.monotonic()

    found = collected(file, PYTEST)

    (problem,) = records_in(found.streams["tests"], TestResult)[1]
    assert problem.startswith("0.xml: it has a document type")
    assert (found.summary.tests.total, found.summary.tests.incomplete) == (4, True)
    assert b"root:" not in found.streams["tests"]
    assert time.monotonic() - began < 5


def test_file_that_is_cut_off_keeps_its_start():
    found = collected(PYTEST[: PYTEST.index(b"test_later")])

    assert found.summary.tests == TestCounts(passed=1, failed=1, seconds=0.251, incomplete=True)
    assert "its XML is incomplete or invalid" in found.warnings[0]


@pytest.mark.parametrize("file", [b"", b"\0" * 100, b"not xml", b"{}", b"<a", b"\xff\xfe<"])
def test_other_content_is_a_problem(file):
    assert len(problems_of(file)) == 1


def test_deep_elements_are_refused():
    assert "nested deeper" in problems_of(b"<a>" * 100_000)[0]


def test_100_000_tests_are_counted_and_failures_are_kept_first():
    cases = b"".join(b'<testcase name="t%d" time="0.001"/>' % n for n in range(100_000))
    failed = b'<testcase name="bad"><failure message="m"/></testcase>'

    found = collected(suite(cases + failed))

    tests = records_in(found.streams["tests"], TestResult)[0]
    counts = found.summary.tests
    assert (counts.passed, counts.failed, counts.left_out) == (100_000, 1, 100_001 - MAX_TESTS)
    assert (len(tests), tests[0].name) == (MAX_TESTS, "bad")


def test_counting_ends_somewhere():
    counts = collected(b"<a>" + b"<testcase/>" * (MAX_COUNTED + 20_000) + b"</a>").summary.tests

    assert (counts.passed, counts.incomplete) == (MAX_COUNTED, True)


def test_long_texts_keep_start_and_end():
    text = b"start" + b"x" * 1_000_000 + b"the end"

    (test,) = read(suite(b'<testcase name="t"><failure>%s</failure></testcase>' % text))

    assert len(test.message) + len(test.output) <= MAX_TEXT
    assert (test.output[:5], test.output[-7:]) == ("start", "the end")


def test_all_texts_of_an_attempt_are_limited():
    case = b'<testcase name="t"><failure message="m">%s</failure></testcase>' % (b"x" * MAX_TEXT)

    found = collected(suite(case * 4_000))

    assert found.summary.tests.failed == 4_000
    assert len(found.streams["tests"]) < 4 << 20


def test_cut_at_the_limit_is_a_problem():
    big = suite(b'<testcase name="t"/><system-out>' + b"x" * MAX_JUNIT + b"</system-out>")

    found = collected(big)

    assert found.summary.tests.passed == 1
    assert any("more than 64 MB" in line for line in found.warnings)


def test_secrets_are_masked():
    failure = b'<failure message="hunter2hunter2">hunter2hunter2</failure>'
    case = b'<testcase name="hunter2hunter2">' + failure + b"</testcase>"

    found = collected(suite(case), mask=Mask(["hunter2hunter2"]))

    assert b"hunter2" not in json.dumps(found.streams["tests"].decode()).encode()


def test_pattern_without_files_is_a_warning():
    found = with_tests(CollectedOutputs(), {JUNIT_FILES: b""}, NONE)

    assert (found.summary, found.streams) == (None, {})
    assert "no file with tests" in found.warnings[0]
