"""The differences between two pipelines. Nodes are compared by path."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from conducto_core.model.run_history import DifferenceKind
from conducto_core.model.states import FAILED, State

#: A command is slower (or faster) by at least this factor and as many seconds; less is noise.
NOISE_FACTOR = 1.25
NOISE_SECONDS = 1.0
#: Maximum characters of a value.
MAX_VALUE = 200


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
    """

    id: str
    execs: Mapping[str, ExecFacts]
    images: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)


class Change(NamedTuple):
    """A `conducto_core.model.run_history.Difference`; a tuple, because there may be very many."""

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
    found[DifferenceKind.IMAGE] = [*_of_values(before.images, after.images)]
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
