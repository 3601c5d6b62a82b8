"""The timeline: a bar for each attempt, thin for its waits and thick while it ran."""

from collections.abc import Iterator
from dataclasses import dataclass

from conducto_core.export.collect import ExportReport
from conducto_core.export.texts import shown_path
from conducto_core.run.model.labels import duration, wait_text
from conducto_core.run.model.records import AttemptRecord, Phase, PhaseKind, phases_of
from conducto_core.run.model.states import FINISHED, State

#: Maximum number of bars; the longest are kept.
MAX_BARS = 200
#: Heights of waits; a bar of an attempt that ran has 8.
HEIGHTS: dict[PhaseKind, int] = {"image": 6, "turn": 3, "start": 5, "unknown": 1}
#: Labels of waits in the legend, in their order in time.
WAITS: dict[PhaseKind, str] = {
    "image": "waits for its image",
    "turn": "waits for its turn",
    "start": "waits for its container",
    "unknown": "waits for unknown reasons",
}
#: Characters of a label that fit on a phone, next to its duration.
_LABEL = 34
#: Possible distances between two marks of the axis, in seconds; it has about `_TICKS` marks.
_STEPS = (
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    20,
    30,
    60,
    120,
    300,
    600,
    1200,
    1800,
    3600,
    7200,
    14400,
    43200,
    86400,
)
_TICKS = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """An attempt with its times, in seconds since the epoch; it may still wait or run."""

    attempt: AttemptRecord
    begin: float
    started: float | None
    end: float

    @property
    def ran(self) -> float:
        """Its running time."""
        return 0.0 if self.started is None else self.end - self.started

    @property
    def label(self) -> str:
        """Its path, its number unless it is the first, and its running time."""
        number = f" #{self.attempt.number}" if self.attempt.number > 1 else ""
        took = "waiting" if self.started is None else duration(self.ran)
        return f"{shown_path(self.attempt.path, _LABEL)}{number} {took}"

    @property
    def title(self) -> str:
        """Its state, its times and its exit code."""
        attempt = self.attempt
        facts = [f"{shown_path(attempt.path)}, attempt {attempt.number}: {attempt.state}"]
        if self.started is not None:
            waited = wait_text(attempt)
            facts += [*([] if waited is None else [waited]), f"ran {duration(self.ran)}"]
        if attempt.state is not State.DONE and attempt.exit_code is not None:
            facts.append(f"exit {attempt.exit_code}")
        return ", ".join(facts)

    @property
    def waits(self) -> list[Phase]:
        """Its waits so far."""
        return [*phases_of(self.attempt, self.end)]


def bars_of(run: ExportReport) -> list[Bar]:
    """Return the bars of all known attempts, in the order in which they started."""
    attempts = (attempt for node in run.nodes for attempt in node.attempts)
    bars = [bar for bar in (_bar(attempt, run.made) for attempt in attempts) if bar is not None]
    bars.sort(key=lambda bar: bar.begin)
    return bars


def _bar(attempt: AttemptRecord, now: float) -> Bar | None:
    begin = attempt.started if attempt.queued is None else attempt.queued
    if begin is None:
        return None
    end = attempt.ended
    if end is None:
        end = begin if attempt.state in FINISHED else now
    return Bar(attempt, begin, attempt.started, max(begin, end))


class Chart:
    """The bars of a run that are shown, and their places.

    Attributes:
        bars: In the order in which they started; empty if no attempt did.
        note: The text above the chart.
        span: Seconds from the begin of the first to the end of the last.
    """

    def __init__(self, run: ExportReport) -> None:
        bars = bars_of(run)
        longest = sorted(range(len(bars)), key=lambda at: bars[at].begin - bars[at].end)
        self.bars = [bars[at] for at in sorted(longest[:MAX_BARS])]
        note = f"Thin while an attempt waited, thick while it ran; {len(self.bars):,} attempts"
        which = "the longest" if len(self.bars) < len(bars) else "those"
        partly = len(self.bars) < len(bars) or not run.whole
        self.note = f"{note}: {which} of the nodes that are shown below." if partly else f"{note}."
        self._begin = min((bar.begin for bar in self.bars), default=0.0)
        self.span = max(max((bar.end for bar in self.bars), default=0.0) - self._begin, 0.001)

    @property
    def kinds(self) -> set[PhaseKind]:
        """The kinds of waits on it."""
        return {phase.kind for bar in self.bars for phase in bar.waits}

    def place(self, begin: float, end: float) -> tuple[str, str]:
        """Return the start and width of a period; half a percent is still visible."""
        width = max((end - begin) / self.span, 0.004)
        return _percent((begin - self._begin) / self.span), _percent(width)

    def ticks(self) -> Iterator[tuple[str, str]]:
        """Yield the marks of the axis, and their labels; "" if there is no room at the right."""
        step = next((one for one in _STEPS if self.span / one <= _TICKS), self.span / _TICKS)
        for number in range(int(self.span / step) + 1):
            at = number * step
            label = duration(at).removesuffix(" 00s").removesuffix(" 00m") if at else "0"
            yield _percent(at / self.span), label if at <= 0.9 * self.span else ""


def _percent(part: float) -> str:
    return f"{100 * part:.2f}%"
