"""The differences between two pipelines. Nodes are compared by path."""

import heapq
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from operator import itemgetter
from typing import Literal, NamedTuple

from conducto.errors import DefinitionError
from conducto_core.programs.history import (
    DifferenceKind,
    FlakyNode,
    ImageAdvice,
    SizeAdvice,
    SlowNode,
)
from conducto_core.programs.rules.memory import RESERVE
from conducto_core.run.model.records import AttemptRecord, phases_of
from conducto_core.run.model.states import FAILED, State
from conducto_core.workers.rules.fargate import PRICES, size_for

#: A command is slower (or faster) by at least this factor and as many seconds; less is noise.
NOISE_FACTOR = 1.25
NOISE_SECONDS = 1.0
#: Maximum characters of a value.
MAX_VALUE = 200
#: Fewest times that have a percentile.
_LEAST_TIMES = 5


@dataclass(frozen=True, slots=True)
class ExecFacts:
    """An Exec of one pipeline.

    Attributes:
        image: Name of its image.
        seconds: Time of its newest attempt, if that has ended.
    """

    state: State
    command: str
    image: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A pipeline, reduced to the facts that are compared.

    Attributes:
        execs: ``{path: facts}``, in definition order.
        images: ``{name: description}``.
        parameters: ``{name: value}`` of its launch.
        built: ``{name: reference}`` of the images that were built.
    """

    id: str
    execs: Mapping[str, ExecFacts]
    images: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    built: Mapping[str, str] = field(default_factory=dict)


class Change(NamedTuple):
    """A `conducto_core.programs.history.Difference`; a tuple, because there may be very many."""

    name: str
    before: str | None = None
    after: str | None = None
    seconds: float | None = None


#: Changes by kind.
Differences = dict[DifferenceKind, list[Change]]


def differences(before: RunFacts, after: RunFacts) -> Differences:
    """Return all differences but those of results."""
    found: Differences = {kind: [] for kind in DifferenceKind}
    for path, new in after.execs.items():
        for kind, difference in _of_exec(path, before.execs.get(path), new):
            found[kind].append(difference)
    found[DifferenceKind.REMOVED] = [
        Change(name=path, before=old.state.value)
        for path, old in before.execs.items()
        if path not in after.execs
    ]
    found[DifferenceKind.IMAGE] = [*_of_values(_images(before, after), _images(after, before))]
    found[DifferenceKind.PARAMETER] = [*_of_values(before.parameters, after.parameters)]
    for kind in (DifferenceKind.SLOWER, DifferenceKind.FASTER):
        found[kind].sort(key=lambda each: -abs(each.seconds or 0.0))
    return found


def _of_exec(
    path: str, old: ExecFacts | None, new: ExecFacts
) -> Iterator[tuple[DifferenceKind, Change]]:
    if old is None:
        yield DifferenceKind.ADDED, Change(name=path, after=new.state.value)
    if new.state in FAILED and (old is None or old.state not in FAILED):
        yield DifferenceKind.NEWLY_FAILING, _states(path, old, new)
    if old is None:
        return
    if old.state in FAILED and new.state is State.DONE:
        yield DifferenceKind.FIXED, _states(path, old, new)
    if old.command != new.command:
        yield DifferenceKind.COMMAND, _changed(path, *_around(old.command, new.command))
    if old.image != new.image:
        yield DifferenceKind.NODE_IMAGE, _changed(path, old.image, new.image)
    yield from _of_times(path, old, new)


def _states(path: str, old: ExecFacts | None, new: ExecFacts) -> Change:
    return _changed(path, None if old is None else old.state.value, new.state.value)


def _of_times(path: str, old: ExecFacts, new: ExecFacts) -> Iterator[tuple[DifferenceKind, Change]]:
    if old.state is not State.DONE or new.state is not State.DONE:
        return
    if old.seconds is None or new.seconds is None or not is_beyond_noise(old.seconds, new.seconds):
        return
    kind = DifferenceKind.SLOWER if new.seconds > old.seconds else DifferenceKind.FASTER
    change = new.seconds - old.seconds
    before, after = f"{old.seconds:.3f}", f"{new.seconds:.3f}"
    yield kind, Change(name=path, before=before, after=after, seconds=change)


def is_beyond_noise(before: float, after: float) -> bool:
    """Return whether two times of a command differ by more than its usual variation."""
    short, long = sorted((before, after))
    return long - short >= NOISE_SECONDS and long >= short * NOISE_FACTOR


def _images(facts: RunFacts, other: RunFacts) -> dict[str, str]:
    """Return descriptions of images; one that is built in one pipeline only is the same in both.

    If all commands of an image are from the cache, it is not built.
    """
    return {
        name: f"{text} {facts.built[name]}" if name in facts.built.keys() & other.built else text
        for name, text in facts.images.items()
    }


def _of_values(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield _changed(name, old, new)


def _changed(name: str, before: str | None, after: str | None) -> Change:
    return Change(name=name, before=shortened(before), after=shortened(after))


def shortened(text: str | None) -> str | None:
    """Return the start of a text that is too long for a response."""
    return text if text is None or len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"


def _around(before: str, after: str) -> tuple[str, str]:
    """Return two long texts from shortly before their first difference on."""
    same = next(
        (place for place, (a, b) in enumerate(zip(before, after, strict=False)) if a != b),
        min(len(before), len(after)),
    )
    start = same - MAX_VALUE // 4
    if start <= 0 or max(len(before), len(after)) <= MAX_VALUE:
        return before, after
    return f"…{before[start:]}", f"…{after[start:]}"


def both_done(before: RunFacts, after: RunFacts) -> Iterable[str]:
    """Yield the paths of the commands that are done in both pipelines."""
    return (
        path
        for path, new in after.execs.items()
        if new.state is State.DONE
        and (old := before.execs.get(path)) is not None
        and old.state is State.DONE
    )


# ----------------------------------------------------------------------------------------
# The history of a program's nodes: flaky and slow ones.


PASSED, RETRIED, FAILURE, ABSENT = "p", "r", "f", "-"


@dataclass(frozen=True, slots=True)
class NodeRun:
    """The attempts of an Exec in one pipeline.

    Attributes:
        state: Of the newest attempt, like ``command`` and ``seconds``.
        retried: An earlier attempt failed with the same command.
        lost_seconds: Total time of the failed attempts.
        started: Start of the newest attempt, in seconds since the epoch.
        cpu: vCPUs that it asked for.
        mem: GB that it asked for.
        peak: GB that it used at most; None if unknown.
        image: Reference of its image.
        waits: ``{kind: seconds}`` before it started, of the kinds that depend on its image.
    """

    state: State
    command: str
    seconds: float | None
    retried: bool = False
    lost_seconds: float = 0.0
    started: float | None = None
    cpu: float | None = None
    mem: float | None = None
    peak: float | None = None
    image: str | None = None
    waits: Mapping[str, float] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """The letter of its outcome."""
        if self.state in FAILED:
            return FAILURE
        return RETRIED if self.retried else PASSED if self.state is State.DONE else ABSENT


#: ``{path: attempts}`` of one pipeline.
NodeRuns = Mapping[str, NodeRun]


def node_runs(attempts: Iterable[AttemptRecord]) -> NodeRuns:
    """Reduce the attempts of a pipeline, which are in the order of their numbers."""
    found: dict[str, NodeRun] = {}
    for attempt in attempts:
        found[attempt.path] = _with_attempt(found.get(attempt.path), attempt)
    return found


def _with_attempt(before: NodeRun | None, attempt: AttemptRecord) -> NodeRun:
    seconds = seconds_of(attempt)
    lost = (seconds or 0.0) if attempt.state in FAILED else 0.0
    run = NodeRun(
        attempt.state,
        attempt.command,
        seconds,
        lost_seconds=lost,
        started=attempt.started,
        cpu=attempt.cpu,
        mem=attempt.mem,
        peak=None if attempt.peak_memory is None else attempt.peak_memory / 2**30,
        image=attempt.image,
        waits=_waits(attempt),
    )
    if before is None:
        return run
    same = before.command == attempt.command
    return replace(
        run,
        retried=same and (before.retried or before.state in FAILED),
        lost_seconds=before.lost_seconds + lost,
    )


def _waits(attempt: AttemptRecord) -> Mapping[str, float]:
    phases = () if attempt.started is None else phases_of(attempt, attempt.started)
    return {each.kind: each.end - each.begin for each in phases if each.kind in ("image", "start")}


def seconds_of(attempt: AttemptRecord) -> float | None:
    """Return the time of an attempt that has ended."""
    if attempt.started is None or attempt.ended is None:
        return None
    return max(0.0, attempt.ended - attempt.started)


def ranked_paths(
    attempts: Iterable[AttemptRecord],
    limit: int,
    now: float,
    fits: Callable[[AttemptRecord], bool],
    *,
    by_memory: bool = False,
) -> list[str]:
    """Return the paths of the nodes whose newest attempts took longest, or used most memory.

    Args:
        attempts: Those of a pipeline, in the order of their numbers.
        limit: Maximum number of paths.
        now: The end of attempts that have not ended.
        fits: Whether the node of an attempt is wanted.
        by_memory: Rank by the memory that they used.
    """
    newest: dict[str, float] = {}
    for attempt in filter(fits, attempts):
        value = attempt.peak_memory if by_memory else _running_seconds(attempt, now)
        newest[attempt.path] = value or 0.0
    ranked = heapq.nsmallest(limit, newest.items(), key=lambda each: (-each[1], each[0]))
    return [path for path, value in ranked if value]


def _running_seconds(attempt: AttemptRecord, now: float) -> float | None:
    if attempt.started is None:
        return None
    return max(0.0, (now if attempt.ended is None else attempt.ended) - attempt.started)


def flaky_nodes(runs: Sequence[NodeRuns]) -> list[FlakyNode]:
    """Return the flaky nodes of pipelines, the oldest first; the most often flaky nodes first.

    A node is flaky if it passed only after a retry, or if it passed, failed and passed again with
    the same command. One change is not enough: the node broke or was fixed.
    """
    found = (_flaky(path, runs) for path in _paths_with_failures(runs))
    flaky = [node for node in found if node is not None]
    return sorted(flaky, key=lambda node: (-node.flaked / node.runs, -node.flaked, node.path))


def _paths_with_failures(runs: Sequence[NodeRuns]) -> Iterable[str]:
    return dict.fromkeys(
        path for run in runs for path, node in run.items() if node.outcome in (FAILURE, RETRIED)
    )


def _flaky(path: str, runs: Sequence[NodeRuns]) -> FlakyNode | None:
    of_node = [run.get(path) for run in runs]
    outcomes = "".join(ABSENT if one is None else one.outcome for one in of_node)
    ran = [one for one in of_node if one is not None and one.outcome != ABSENT]
    if RETRIED not in outcomes and not _alternates(ran):
        return None
    return FlakyNode(
        path=path,
        outcomes=outcomes,
        flaked=outcomes.count(RETRIED) + outcomes.count(FAILURE),
        runs=len(ran),
        lost_seconds=sum(one.lost_seconds for one in ran),
    )


def _alternates(runs: Sequence[NodeRun]) -> bool:
    """Return whether the outcome changed at least twice while the command stayed the same."""
    changed_before = False
    for before, after in pairwise(runs):
        same = before.command == after.command
        changed = same and (before.state in FAILED) != (after.state in FAILED)
        if changed and changed_before:
            return True
        changed_before = same and (changed or changed_before)
    return False


def slowest_nodes(runs: Sequence[NodeRuns], limit: int) -> list[SlowNode]:
    """Return the slowest nodes of pipelines, the oldest first, by the median of their times."""
    times: dict[str, list[float]] = {}
    for run in runs:
        for path, node in run.items():
            if node.state is State.DONE and node.seconds is not None:
                times.setdefault(path, []).append(node.seconds)
    medians = {path: statistics.median(seconds) for path, seconds in times.items()}
    total = sum(medians.values())
    ranked = sorted(medians, key=lambda path: (-medians[path], path))[:limit]
    return [
        SlowNode(
            path=path,
            median_seconds=medians[path],
            slow_seconds=slow_time(times[path]),
            share=medians[path] / total if total else 0.0,
            newest_seconds=times[path][-1],
            runs=len(times[path]),
        )
        for path in ranked
    ]


def slow_time(times: Sequence[float]) -> float | None:
    """Return the seconds that 95 % of times do not exceed; None for fewer than five."""
    return percentile(times, 0.95) if len(times) >= _LEAST_TIMES else None


def percentile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that is not below this part of the values."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(part * len(ranked)) - 1)]


#: Minimum number of pipelines, and step in GB of an advised size.
_LEAST_RUNS, _STEP = 5, 0.25
_MONTH = 30 * 86400.0


def size_advice(runs: Sequence[NodeRuns]) -> list[SizeAdvice]:
    """Return the nodes of pipelines, the oldest first, that ask for too much memory.

    The largest saving comes first. Advice needs five pipelines in which the node passed, and saves
    a quarter of the memory.
    """
    passed: dict[str, list[NodeRun]] = {}
    for run in runs:
        for path, node in run.items():
            if node.state is State.DONE and node.peak is not None and node.mem is not None:
                passed.setdefault(path, []).append(node)
    found = (_size_advice(path, of_node) for path, of_node in passed.items())
    advice = [one for one in found if one is not None]
    return sorted(advice, key=lambda one: (-one.dollars_month, one.enough - one.mem, one.path))


def _size_advice(path: str, runs: Sequence[NodeRun]) -> SizeAdvice | None:
    newest, peak = runs[-1], max(run.peak or 0.0 for run in runs)
    mem, enough = newest.mem or 0.0, max(1, math.ceil(peak * RESERVE / _STEP)) * _STEP
    if len(runs) < _LEAST_RUNS or enough > mem * 0.75:
        return None
    return SizeAdvice(
        path=path,
        mem=mem,
        peak=peak,
        enough=enough,
        runs=len(runs),
        dollars_month=_saving(path, runs, mem, enough),
    )


#: Minimum wait for an image, in seconds, and its minimum part of the time of its command.
_LONG_WAIT, _DOMINATES = 5.0, 0.5


def image_advice(runs: Sequence[NodeRuns]) -> list[ImageAdvice]:
    """Return the nodes of pipelines, the oldest first, whose image takes most of their time.

    The longest wait comes first. Advice needs five pipelines in which the node passed; the medians
    decide, so that an image that is downloaded once and then kept is not mentioned.
    """
    found = (_image_advice(path, of_node) for path, of_node in _passed(runs).items())
    advice = [one for one in found if one is not None]
    return sorted(advice, key=lambda one: (-one.wait_seconds, one.path))


def _passed(runs: Sequence[NodeRuns]) -> dict[str, list[NodeRun]]:
    passed: dict[str, list[NodeRun]] = {}
    for run in runs:
        for path, node in run.items():
            if node.state is State.DONE and node.seconds is not None:
                passed.setdefault(path, []).append(node)
    return passed


def _image_advice(path: str, runs: Sequence[NodeRun]) -> ImageAdvice | None:
    if len(runs) < _LEAST_RUNS:
        return None
    usual = statistics.median(run.seconds or 0.0 for run in runs)
    kinds: tuple[Literal["image", "start"], ...] = ("image", "start")
    waits = [(statistics.median(run.waits.get(kind, 0.0) for run in runs), kind) for kind in kinds]
    wait, kind = max(waits, key=itemgetter(0))
    if wait < max(_LONG_WAIT, _DOMINATES * (wait + usual)):
        return None
    return ImageAdvice(
        path=path,
        image=runs[-1].image,
        kind=kind,
        wait_seconds=wait,
        seconds=wait + usual,
        runs=len(runs),
    )


def _saving(path: str, runs: Sequence[NodeRun], mem: float, enough: float) -> float:
    """Return the dollars that a month of a node's workers costs less with ``enough`` GB."""
    times = [run.started for run in runs if run.started is not None]
    between = max(times, default=0.0) - min(times, default=0.0)
    if between <= 0:
        return 0.0
    cpu = runs[-1].cpu or 1.0
    try:
        now, then = size_for(path, cpu, mem), size_for(path, cpu, enough)
    except DefinitionError:  # only a machine of its own is that large
        return 0.0
    hours = sum(run.seconds or 0.0 for run in runs) / 3600 * (len(times) - 1) / len(times)
    cheaper = PRICES.worker_hour(now) - PRICES.worker_hour(then)
    return hours * cheaper * _MONTH / between
