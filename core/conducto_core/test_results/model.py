"""Results of tests, their history, and quarantines."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from conducto_core.record import Record
from conducto_core.run.model.params import PipelineId, ProgramParams

#: The test of a rule that quarantines flaky tests.
ALL_FLAKY = "*"
#: Maximum characters of the name of a test.
MAX_NAME = 500
#: Maximum number of tests in a response.
MAX_LISTED = 5_000


class TestOutcome(StrEnum):
    """The outcomes of a test; a flaky one failed and passed within one attempt."""

    __test__ = False

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    FLAKY = "flaky"


class TestCounts(Record):
    """The tests of an attempt, also those that are not kept.

    Attributes:
        failed: With those that ended with an error.
        left_out: Number of tests that are counted only.
        seconds: Total time of the tests.
        incomplete: A file could not be read to its end.
    """

    __test__ = False

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    flaky: int = 0
    left_out: int = 0
    seconds: float = 0.0
    incomplete: bool = False

    @property
    def total(self) -> int:
        """Number of all tests."""
        return self.passed + self.failed + self.skipped + self.flaky


class TestResult(Record):
    """The result of one test in one attempt.

    Attributes:
        name: Class and name, as in ``tests.test_shop.TestCart::test_total``.
        file: The file that defines it, if the report names it.
        message: First line of the failure, or the reason for which it was skipped.
        output: Further text of the failure, shortened.
    """

    __test__ = False

    name: str
    outcome: TestOutcome
    seconds: float = 0.0
    file: str | None = None
    line: int | None = None
    message: str = ""
    output: str = ""


class TestChange(StrEnum):
    """The outcome of a test compared with the earlier pipelines of the program."""

    __test__ = False

    NEW_FAILURE = "new_failure"
    STILL_FAILING = "still_failing"
    FIXED = "fixed"


TestFilter = Literal["all", "failed", "flaky", "slow"]


class PipelineTestParams(Record):
    """The pipeline whose tests are listed.

    Attributes:
        path: Only tests of this node.
        only: With ``slow``, the slowest come first.
    """

    id: PipelineId
    path: str | None = None
    only: TestFilter = "all"
    limit: int = Field(default=200, ge=1, le=MAX_LISTED)


class PipelineTest(TestResult):
    """A test of a pipeline.

    Attributes:
        path: The node that ran it.
        flaky: It failed and passed with the same inputs, in this pipeline or an earlier one.
        quarantined: Its failure is not counted.
    """

    path: str
    attempt: int
    change: TestChange | None = None
    flaky: bool = False
    quarantined: bool = False


class PipelineTests(Record):
    """The tests of the newest attempts of a pipeline, failures first.

    Attributes:
        pipeline: Its full id.
        nodes: Number of nodes with tests.
        tests: The first of those that the filter matches.
        more: Number of further ones.
        fixed: Number of tests that failed in the previous pipeline and passed.
        problems: Files that could not be read, as sentences.
        suggested: The flakiest tests without a quarantine.
    """

    pipeline: str
    counts: TestCounts = TestCounts()
    nodes: int = 0
    tests: tuple[PipelineTest, ...] = ()
    more: int = 0
    new_failures: int = 0
    still_failing: int = 0
    fixed: int = 0
    quarantined: int = 0
    problems: tuple[str, ...] = ()
    suggested: tuple[str, ...] = ()


class ProgramTestParams(Record):
    """The program whose tests are listed.

    Attributes:
        id: One of its pipelines.
        only: ``failed`` in the newest pipeline that ran them; ``slow``: the slowest first.
    """

    id: PipelineId
    only: TestFilter = "all"
    limit: int = Field(default=200, ge=1, le=MAX_LISTED)


class TestedPipeline(Record):
    """The tests of one pipeline in the history of its program.

    Attributes:
        time: When it was created, in seconds since the epoch.
        branch: Of a pipeline that a trigger launched.
        inputs: Identity of its commit and its tree; None if it is not known.
        seen: Number of its newest change that is included.
        lines: Lines in its coverage files; 0 without any.
        covered: Those of them that ran.
    """

    id: str
    time: float
    branch: str | None = None
    inputs: str | None = None
    seen: str = ""
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    flaky: int = 0
    seconds: float = 0.0
    lines: int = 0
    covered: int = 0


class TestHistory(Record):
    """The history of one test.

    Attributes:
        outcomes: A letter for each pipeline, the oldest first: ``p`` passed, ``f`` failed, ``s``
            skipped, ``x`` failed and passed, ``-`` did not run.
        seconds: Median of its newest times.
        times: These times, the newest last.
        flaky: Number of pipelines in which it was flaky.
    """

    __test__ = False

    name: str
    outcomes: str = ""
    file: str | None = None
    seconds: float = 0.0
    times: tuple[float, ...] = ()
    flaky: int = 0


class TestAggregate(Record):
    """The history of a program's tests, as it is stored.

    Attributes:
        files: ``{file: seconds}`` of the tests in each file.
    """

    __test__ = False

    version: int = 1
    pipelines: tuple[TestedPipeline, ...] = ()
    tests: tuple[TestHistory, ...] = ()
    files: dict[str, float] = {}


class Quarantine(Record):
    """A test whose failures do not count until a time.

    Attributes:
        name: Identifies the record.
        test: Name of the test.
        until: End, in seconds since the epoch.
        by: The user.
        created: When, in seconds since the epoch.
        automatic: It is a rule: each test that was flaky in so many pipelines gets a quarantine.
    """

    name: str = ""
    program: ProgramParams
    test: str
    until: float
    reason: str
    by: str = ""
    created: float = 0.0
    automatic: int | None = None


class QuarantineList(Record):
    """The quarantines of all programs, as they are stored."""

    quarantines: tuple[Quarantine, ...] = ()


class QuarantineRequest(Record):
    """A request to quarantine a test of a pipeline's program.

    Attributes:
        automatic: Quarantine each test that was flaky in so many pipelines; ``test`` is ``*``.
    """

    test: str = Field(min_length=1, max_length=MAX_NAME)
    until: float
    reason: str = Field(max_length=500)
    automatic: int | None = Field(default=None, ge=2, le=100)

    @model_validator(mode="after")
    def _is_a_rule(self) -> Self:
        if self.automatic is not None and self.test != ALL_FLAKY:
            raise ValueError(f"test: a rule is for all tests, write {ALL_FLAKY!r}")
        return self

    @field_validator("reason", "test")
    @classmethod
    def _has_text(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("it is empty; state it")
        return value.strip()


class QuarantineParams(Record):
    """A quarantine of a pipeline's program, by the name of its record."""

    id: PipelineId
    name: str = Field(max_length=100)


class ProgramTests(Record):
    """The history of a program's tests.

    Attributes:
        pipelines: The oldest first.
        tests: The first of those that the filter matches.
        more: Number of further ones.
        files: ``{file: seconds}``, for shards of equal time.
        quarantines: Those that have not ended.
        complete: Whether all pipelines were read.
        suggested: The flakiest tests without a quarantine.
    """

    pipelines: tuple[TestedPipeline, ...] = ()
    tests: tuple[TestHistory, ...] = ()
    more: int = 0
    files: dict[str, float] = {}
    quarantines: tuple[Quarantine, ...] = ()
    complete: bool = True
    suggested: tuple[str, ...] = ()
