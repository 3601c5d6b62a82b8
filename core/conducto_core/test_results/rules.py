"""Decisions about tests: their changes and history, quarantines, and shards of equal time. Pure."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from conducto.wire.printable import suggestion
from conducto_core.errors import RefusedError
from conducto_core.programs.rules.programs import tested_program
from conducto_core.run.model.params import ProgramParams
from conducto_core.run.model.records import AttemptRecord, PipelineRecord
from conducto_core.run.model.states import Cause
from conducto_core.test_results.model import (
    ALL_FLAKY,
    PipelineTest,
    PipelineTests,
    Quarantine,
    TestAggregate,
    TestChange,
    TestCounts,
    TestedPipeline,
    TestFilter,
    TestHistory,
    TestOutcome,
    TestResult,
)

#: Limits of the history of a program.
MAX_PIPELINES = 200
MAX_DAYS = 90
MAX_AGGREGATE = 5 << 20
#: Number of times of a test that are kept.
MAX_TIMES = 10
_DAY = 86_400
_LETTERS = {
    TestOutcome.PASSED: "p",
    TestOutcome.FAILED: "f",
    TestOutcome.SKIPPED: "s",
    TestOutcome.FLAKY: "x",
}
_MAX_SIGNALLED = 128
#: The user of quarantines that a rule made, their days, and how many it makes at once.
AUTOMATIC = "automatic"
_AUTOMATIC_DAYS = 14
_MAX_AUTOMATIC = 20
#: Number of tests that are suggested for a quarantine.
MAX_SUGGESTED = 10


# ----------------------------------------------------------------------------------------
# Quarantines.


def is_excused(
    cause: Cause | None,
    exit_code: int | None,
    counts: TestCounts | None,
    failed: Collection[str],
    quarantined: Collection[str],
) -> bool:
    """Return whether an attempt failed only because of quarantined tests.

    Its command ended by itself, with an exit code that no signal caused, every file was read, and
    each failure is known.

    ``failed`` has the names of its failed tests that are kept, and ``quarantined`` those of the
    tests whose quarantine has not ended.
    """
    if cause is not Cause.EXIT_CODE or exit_code is None or not 0 < exit_code < _MAX_SIGNALLED:
        return False
    if counts is None or counts.incomplete or not counts.failed or len(failed) != counts.failed:
        return False
    return all(name in quarantined for name in failed)


def excuse(
    end: tuple[Cause | None, int | None],
    counts: TestCounts | None,
    tests: Callable[[], Iterable[TestResult]],
    quarantines: Callable[[], Iterable[Quarantine]],
    *,
    record: PipelineRecord,
    now: float,
) -> str | None:
    """Return the message of an attempt that failed only because of quarantined tests, or None.

    Args:
        end: Cause and exit code of the attempt.
        counts: The counts of its tests.
        tests: Returns its tests that are kept; it is called for failed tests only.
        quarantines: Returns those of all programs; called for failed tests only.
        record: The pipeline of the attempt.
        now: Seconds since the epoch.
    """
    if end[0] is not Cause.EXIT_CODE or counts is None or not counts.failed:
        return None
    names = tests_of(in_force(quarantines(), tested_program(record), now))
    failed = [t.name for t in tests() if t.outcome is TestOutcome.FAILED] if names else []
    return excused_message(failed) if is_excused(*end, counts, failed, names) else None


def excused_message(failed: Sequence[str]) -> str:
    """Return the message of an attempt that failed only because of quarantined tests."""
    names = ", ".join(failed[:3]) + (f" and {len(failed) - 3} more" if len(failed) > 3 else "")  # noqa: PLR2004
    return f"done with a warning: only quarantined tests failed: {names}"


def in_force(
    quarantines: Iterable[Quarantine], program: ProgramParams, now: float
) -> tuple[Quarantine, ...]:
    """Return the quarantines of a program that have not ended."""
    return tuple(
        q for q in quarantines if q.until > now and program_id(q.program) == program_id(program)
    )


def check_test(test: str, history: TestAggregate) -> None:
    """Check that a test that is to be quarantined ran in a program that has tests.

    Raises:
        RefusedError: It did not; the message has the nearest test.
    """
    known = [each.name for each in history.tests]
    if known and test not in (ALL_FLAKY, *known):
        hint = suggestion(test, known) or "; list them with 'conducto tests'"
        raise RefusedError(f"no test {test!r} ran in the pipelines of this program{hint}")


def tests_of(quarantines: Iterable[Quarantine]) -> set[str]:
    """Return the tests that are quarantined."""
    return {each.test for each in quarantines if each.automatic is None}


def new_quarantines(
    quarantines: Iterable[Quarantine], program: ProgramParams, history: TestAggregate, now: float
) -> list[Quarantine]:
    """Return the quarantines that the rule of a program makes, if it has one.

    A test whose quarantine has ended gets no other one: a person decides about it.
    """
    mine = [each for each in quarantines if program_id(each.program) == program_id(program)]
    rule = next((each for each in mine if each.automatic is not None and each.until > now), None)
    if rule is None or rule.automatic is None:
        return []
    least, known = rule.automatic, {each.test for each in mine}
    flaky = [each for each in history.tests if each.flaky >= least and each.name not in known]
    return [
        Quarantine(
            name=quarantine_name(program, each.name),
            program=program,
            test=each.name,
            until=now + _AUTOMATIC_DAYS * _DAY,
            reason=f"flaky in {each.flaky} pipelines; the rule of {rule.by} asks for {least}",
            by=AUTOMATIC,
            created=now,
        )
        for each in sorted(flaky, key=_flakiness)[:_MAX_AUTOMATIC]
    ]


def suggested(history: TestAggregate, quarantined: Collection[str]) -> tuple[str, ...]:
    """Return the flakiest tests without a quarantine."""
    flaky = [each for each in history.tests if each.flaky and each.name not in quarantined]
    return tuple(each.name for each in sorted(flaky, key=_flakiness)[:MAX_SUGGESTED])


def _flakiness(test: TestHistory) -> tuple[int, str]:
    return -test.flaky, test.name


def program_id(program: ProgramParams) -> str:
    """Return the identity of a program, as a name of files."""
    if program.function is not None:
        key = [None, program.program, program.function]
    else:
        key = [program.title, program.program, None]
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]


def is_in_history(record: PipelineRecord, program: ProgramParams) -> bool:
    """Return whether a pipeline is in the history of a program's tests.

    Those of forks are not: their authors could make any test look flaky.
    """
    if record.git is not None and record.git.untrusted:
        return False
    return program_id(tested_program(record)) == program_id(program)


def quarantine_name(program: ProgramParams, test: str) -> str:
    """Return the name of the record of a test's quarantine."""
    return f"{program_id(program)}-{hashlib.sha256(test.encode()).hexdigest()[:16]}"


# ----------------------------------------------------------------------------------------
# The tests of one pipeline.


@dataclass(slots=True)
class AttemptTests:
    """The tests of an attempt."""

    attempt: AttemptRecord
    tests: Sequence[TestResult]
    problems: Sequence[str] = ()


def letters_of(attempts: Iterable[AttemptTests]) -> dict[str, str]:
    """Return ``{test: letter}`` of a pipeline; attempts of a node are in order.

    The newest attempt of each node counts. A test that failed and passed in attempts of a node with
    equal inputs is flaky. One that failed in one of several nodes failed.
    """
    seen: dict[tuple[str, str], tuple[str, str | None]] = {}
    for each in attempts:
        path, inputs = each.attempt.path, each.attempt.fingerprint
        mine: dict[str, str] = {}
        for test in each.tests:
            mine[test.name] = _worse(mine.get(test.name), _LETTERS[test.outcome])
        for name, letter in mine.items():
            before, before_inputs = seen.get((path, name), ("", None))
            same = inputs is not None and inputs == before_inputs
            if same and before and before + letter in {"fp", "pf", "xp", "xf"}:
                letter = "x"  # noqa: PLW2901
            seen[path, name] = letter, inputs
    found: dict[str, str] = {}
    for (_, name), (letter, _) in seen.items():
        found[name] = _worse(found.get(name), letter)
    return found


def _worse(first: str | None, second: str) -> str:
    return second if first is None else min(first, second, key="fxps".index)


def change_of(outcome: TestOutcome, earlier: str) -> TestChange | None:
    """Return the change of a test from its earlier outcomes, the oldest first."""
    before = next((letter for letter in reversed(earlier) if letter in "pfx"), "")
    if outcome is TestOutcome.FAILED:
        return TestChange.STILL_FAILING if before == "f" else TestChange.NEW_FAILURE
    return TestChange.FIXED if outcome is TestOutcome.PASSED and before == "f" else None


def pipeline_tests(
    pipeline: str,
    newest: Sequence[AttemptTests],
    letters: Mapping[str, str],
    before: TestAggregate,
    quarantined: Collection[str],
    *,
    only: TestFilter = "all",
    limit: int = 200,
) -> PipelineTests:
    """Return the tests of a pipeline: new failures, other failures, flaky ones, then the others.

    ``newest`` has the newest attempt with tests of each node, ``letters`` those of all attempts
    (`letters_of`), and ``before`` the history of the program without this and later pipelines.
    """
    history = {each.name: each for each in before.tests}
    nothing = TestHistory(name="")
    tests = [
        PipelineTest(
            **dict(test),
            path=each.attempt.path,
            attempt=each.attempt.number,
            change=change_of(test.outcome, history.get(test.name, nothing).outcomes),
            flaky=letters.get(test.name) == "x" or history.get(test.name, nothing).flaky > 0,
            quarantined=test.name in quarantined and test.outcome is TestOutcome.FAILED,
        )
        for each in newest
        for test in each.tests
    ]
    chosen = sorted((each for each in tests if _matches(each, only)), key=_place)
    if only == "slow":
        chosen.sort(key=lambda test: -test.seconds)
    counts = [each.attempt.outputs.tests for each in newest if each.attempt.outputs is not None]
    return PipelineTests(
        pipeline=pipeline,
        counts=_sum([each for each in counts if each is not None]),
        nodes=len(newest),
        tests=tuple(chosen[:limit]),
        more=max(0, len(chosen) - limit),
        new_failures=sum(each.change is TestChange.NEW_FAILURE for each in tests),
        still_failing=sum(each.change is TestChange.STILL_FAILING for each in tests),
        fixed=sum(each.change is TestChange.FIXED for each in tests),
        quarantined=sum(each.quarantined for each in tests),
        problems=tuple(line for each in newest for line in each.problems)[:20],
        suggested=_suggested_of(tests, history, quarantined),
    )


def _suggested_of(
    tests: Iterable[PipelineTest], history: Mapping[str, TestHistory], quarantined: Collection[str]
) -> tuple[str, ...]:
    nothing = TestHistory(name="")
    flaky = {each.name for each in tests if each.flaky and each.name not in quarantined}
    by_number = sorted(flaky, key=lambda name: (-history.get(name, nothing).flaky, name))
    return tuple(by_number[:MAX_SUGGESTED])


def _matches(test: PipelineTest, only: TestFilter) -> bool:
    if only == "failed":
        return test.outcome is TestOutcome.FAILED
    return only != "flaky" or test.flaky or test.outcome is TestOutcome.FLAKY


_CHANGES = (TestChange.NEW_FAILURE, TestChange.STILL_FAILING, None, TestChange.FIXED)


_OUTCOMES = (TestOutcome.FAILED, TestOutcome.FLAKY, TestOutcome.PASSED, TestOutcome.SKIPPED)


def _place(test: PipelineTest) -> tuple[int, bool, int, str, str]:
    """Return the sort key of a test: failures that count first, new ones before others."""
    is_failure = test.outcome is TestOutcome.FAILED
    change = _CHANGES.index(test.change) if is_failure else test.change is None
    return _OUTCOMES.index(test.outcome), test.quarantined, int(change), test.path, test.name


def _sum(counts: Sequence[TestCounts]) -> TestCounts:
    return TestCounts(
        passed=sum(each.passed for each in counts),
        failed=sum(each.failed for each in counts),
        skipped=sum(each.skipped for each in counts),
        flaky=sum(each.flaky for each in counts),
        left_out=sum(each.left_out for each in counts),
        seconds=round(sum(each.seconds for each in counts), 3),
        incomplete=any(each.incomplete for each in counts),
    )


# ----------------------------------------------------------------------------------------
# The history of a program's tests.


def inputs_of(record: PipelineRecord, fingerprints: Iterable[str | None]) -> str | None:
    """Return the identity of what a pipeline ran: its clean commit and the inputs of its tests."""
    commit = record.commit
    sha = record.git.sha if record.git is not None else commit.sha if commit is not None else None
    prints = sorted(map(str, fingerprints))
    if sha is None or (commit is not None and commit.dirty) or "None" in prints:
        return None
    return hashlib.sha256("\n".join((sha, *prints)).encode()).hexdigest()[:16]


def with_pipeline(
    aggregate: TestAggregate, pipeline: TestedPipeline, attempts: Sequence[AttemptTests], now: float
) -> TestAggregate:
    """Return a history with a pipeline added, or replaced, and old ones removed."""
    letters = letters_of(attempts)
    seconds: dict[str, float] = {}
    files: dict[str, str | None] = {}
    for each in attempts:
        for test in each.tests:
            seconds[test.name] = test.seconds
            files[test.name] = test.file
    numbers = list(letters.values())
    counts = {outcome.value: numbers.count(letter) for outcome, letter in _LETTERS.items()}
    total = round(sum(seconds[name] for name in letters), 3)
    column = pipeline.model_copy(update={**counts, "seconds": total})
    columns = _Columns.from_aggregate(aggregate)
    columns.put(column, letters, {n: s for n, s in seconds.items() if letters[n] in "px"}, files)
    columns.drop(now)
    return columns.aggregate()


@dataclass(slots=True)
class _Columns:
    """A history by pipeline, while it changes."""

    pipelines: dict[str, TestedPipeline]
    letters: dict[str, dict[str, str]]  # {test: {pipeline: letter}}
    times: dict[str, tuple[float, ...]]
    files: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def from_aggregate(cls, aggregate: TestAggregate) -> "_Columns":
        ids = [each.id for each in aggregate.pipelines]
        return cls(
            {each.id: each for each in aggregate.pipelines},
            {
                test.name: {
                    id_: letter
                    for id_, letter in zip(ids, test.outcomes, strict=True)
                    if letter != "-"
                }
                for test in aggregate.tests
            },
            {test.name: test.times for test in aggregate.tests},
            {test.name: test.file for test in aggregate.tests},
        )

    def put(
        self,
        column: TestedPipeline,
        letters: Mapping[str, str],
        seconds: Mapping[str, float],
        files: Mapping[str, str | None],
    ) -> None:
        is_new = column.id not in self.pipelines
        self.pipelines[column.id] = column
        for known in self.letters.values():
            known.pop(column.id, None)
        for name, letter in letters.items():
            self.letters.setdefault(name, {})[column.id] = letter
            self.files[name] = files.get(name) or self.files.get(name)
            if is_new and name in seconds:
                times = (*self.times.get(name, ()), round(seconds[name], 3))
                self.times[name] = times[-MAX_TIMES:]

    def drop(self, now: float) -> None:
        """Drop pipelines that are too old or too many, and tests that none of the others ran."""
        ordered = sorted(self.pipelines.values(), key=lambda each: (each.time, each.id))
        kept = [each for each in ordered if each.time >= now - MAX_DAYS * _DAY][-MAX_PIPELINES:]
        self.pipelines = {each.id: each for each in kept}
        for name, known in list(self.letters.items()):
            self.letters[name] = {i: letter for i, letter in known.items() if i in self.pipelines}
            if not self.letters[name]:
                del self.letters[name]

    def aggregate(self) -> TestAggregate:
        """Return the history, without the oldest pipelines if it would be too large."""
        while True:
            found = self._aggregate()
            size = sum(
                len(each.name.encode()) + len(each.outcomes) + 9 * len(each.times) + 60
                for each in found.tests
            )
            if size <= MAX_AGGREGATE or len(self.pipelines) <= 1:
                return found
            keep = max(1, len(self.pipelines) * MAX_AGGREGATE // size)
            oldest = sorted(self.pipelines.values(), key=lambda each: each.time)[-keep:]
            if len(oldest) == len(self.pipelines):
                oldest = oldest[1:]
            self.pipelines = {each.id: each for each in oldest}
            self.letters = {
                name: left
                for name, known in self.letters.items()
                if (left := {i: letter for i, letter in known.items() if i in self.pipelines})
            }

    def _aggregate(self) -> TestAggregate:
        pipelines = sorted(self.pipelines.values(), key=lambda each: (each.time, each.id))
        tests = tuple(
            self._history(name, known, pipelines) for name, known in sorted(self.letters.items())
        )
        files: dict[str, float] = {}
        for test in tests:
            place = test.file or test.name.partition("::")[0]
            files[place] = round(files.get(place, 0.0) + test.seconds, 3)
        return TestAggregate(pipelines=tuple(pipelines), tests=tests, files=files)

    def _history(
        self, name: str, known: Mapping[str, str], pipelines: Sequence[TestedPipeline]
    ) -> TestHistory:
        outcomes = "".join(known.get(each.id, "-") for each in pipelines)
        by_inputs: dict[str, set[str]] = {}
        for letter, each in zip(outcomes, pipelines, strict=True):
            if each.inputs is not None and letter in "pf":
                by_inputs.setdefault(each.inputs, set()).add(letter)
        times = self.times.get(name, ())
        return TestHistory(
            name=name,
            outcomes=outcomes,
            file=self.files.get(name),
            seconds=round(median(times), 3) if times else 0.0,
            times=times,
            flaky=outcomes.count("x") + sum(len(each) > 1 for each in by_inputs.values()),
        )


def before(aggregate: TestAggregate, record: PipelineRecord) -> TestAggregate:
    """Return the history that a pipeline is compared with: without it and later pipelines.

    A pipeline of a trigger is compared with those of its branch, and of the branch that its pull
    request is merged into.
    """
    git = record.git
    branches = None if git is None else {git.branch, git.base_branch}
    kept = [
        n
        for n, each in enumerate(aggregate.pipelines)
        if each.id != record.id
        and each.time <= record.created
        and (branches is None or each.branch in branches)
    ]
    if len(kept) == len(aggregate.pipelines):
        return aggregate
    return aggregate.model_copy(
        update={
            "pipelines": tuple(aggregate.pipelines[n] for n in kept),
            "tests": tuple(
                test.model_copy(update={"outcomes": "".join(test.outcomes[n] for n in kept)})
                for test in aggregate.tests
            ),
        }
    )


def selected(aggregate: TestAggregate, only: TestFilter) -> list[TestHistory]:
    """Return the tests that a filter matches: failing or flaky ones first, or the slowest."""
    tests = [
        test
        for test in aggregate.tests
        if only in {"all", "slow"}
        or (only == "failed" and _newest(test) == "f")
        or (only == "flaky" and test.flaky)
    ]
    if only == "slow":
        return sorted(tests, key=lambda test: (-test.seconds, test.name))
    return sorted(
        tests, key=lambda t: (_newest(t) != "f", -t.flaky, -t.outcomes.count("f"), t.name)
    )


def _newest(test: TestHistory) -> str:
    return next((letter for letter in reversed(test.outcomes) if letter != "-"), "-")
