"""When commands waited and ran: a bar for each attempt, thin while it was queued."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from conducto.model.records import AttemptRecord
from conducto.model.states import FINISHED, State
from conducto.model.words import duration
from conducto.service.export.markup import Markup, tag, void
from conducto.service.export.run import Run
from conducto.service.export.words import MARKS, shown_path

#: Most bars; of more, the longest are shown.
MAX_BARS = 200
_ROW, _HEAD = 26, 18
#: Characters of a label that fit on a phone, beside how long it took.
_LABEL = 34
#: Distances between two marks of the axis, in seconds; it has about `_TICKS` of them.
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
        """How long it ran."""
        return 0.0 if self.started is None else self.end - self.started


def bars_of(run: Run) -> list[Bar]:
    """Return the bars of all attempts that are known, in the order in which they began."""
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


def timeline(run: Run) -> Markup:
    """Return the section; nothing where nothing began."""
    bars = bars_of(run)
    if not bars:
        return Markup("")
    shown = _longest(bars)
    note = f"Thin while an attempt waited, thick while it ran; {len(shown):,} attempts."
    if len(shown) < len(bars) or not run.whole:
        which = "the longest" if len(shown) < len(bars) else "those"
        note = f"{note[:-1]}: {which} of the nodes that are shown below."
    chart = tag("div", _chart(shown), class_="chart")
    return tag("section", tag("h2", "Timeline"), tag("p", note, class_="muted"), chart)


def _longest(bars: list[Bar]) -> list[Bar]:
    by_length = sorted(range(len(bars)), key=lambda at: bars[at].begin - bars[at].end)
    return [bars[at] for at in sorted(by_length[:MAX_BARS])]


def _chart(bars: list[Bar]) -> Markup:
    first = min(bar.begin for bar in bars)
    span = max(max(bar.end for bar in bars) - first, 0.001)
    height = _HEAD + _ROW * len(bars)
    rows = (_row(bar, _HEAD + _ROW * at, first, span) for at, bar in enumerate(bars))
    return tag(
        "svg",
        tag("g", *_axis(span, height), class_="axis"),
        *rows,
        width="100%",
        height=height,
        role="img",
        aria_label=f"Timeline of {len(bars)} attempts over {duration(span)}",
    )


def _axis(span: float, height: int) -> Iterator[Markup]:
    step = next((one for one in _STEPS if span / one <= _TICKS), span / _TICKS)
    for number in range(int(span / step) + 1):
        x = _percent(number * step / span)
        yield void("line", x1=x, x2=x, y1=_HEAD - 4, y2=height)
        if number * step <= 0.9 * span:  # no room for it at the right
            yield tag("text", _tick(number * step), x=x, y=10)


def _tick(seconds: float) -> str:
    return duration(seconds).removesuffix(" 00s").removesuffix(" 00m") if seconds else "0"


def _row(bar: Bar, top: int, first: float, span: float) -> Markup:
    attempt = bar.attempt
    begin, end = bar.begin - first, bar.end - first
    shapes = []
    waited_until = end if bar.started is None else max(bar.begin, bar.started) - first
    if waited_until > begin:
        shapes.append(_rect((begin, waited_until), span, top + 18, 2, "wait"))
    if bar.started is not None:
        ran_from = max(bar.begin, bar.started) - first
        shapes.append(_rect((ran_from, end), span, top + 15, 8, attempt.state.value))
    name = shown_path(attempt.path, _LABEL)
    sign = tag("tspan", MARKS[attempt.state], class_=attempt.state.value)
    words = " ".join((name, *_numbered(attempt), _took(bar)))
    label = tag("text", sign, " ", words, x="0", y=top + 11)
    return tag("g", tag("title", _told(bar)), label, *shapes)


def _numbered(attempt: AttemptRecord) -> Iterable[str]:
    return (f"#{attempt.number}",) if attempt.number > 1 else ()


def _took(bar: Bar) -> str:
    return "waiting" if bar.started is None else duration(bar.ran)


def _told(bar: Bar) -> str:
    attempt = bar.attempt
    told = [f"{shown_path(attempt.path)}, attempt {attempt.number}: {attempt.state.value}"]
    if bar.started is not None:
        told.append(f"waited {duration(bar.started - bar.begin)}, ran {duration(bar.ran)}")
    if attempt.state is not State.DONE and attempt.exit_code is not None:
        told.append(f"exit {attempt.exit_code}")
    return ", ".join(told)


def _rect(period: tuple[float, float], span: float, y: int, height: int, kind: str) -> Markup:
    begin, end = period
    # Half a percent of the whole can still be seen.
    width = _percent(max((end - begin) / span, 0.004))
    return void("rect", x=_percent(begin / span), y=y, width=width, height=height, class_=kind)


def _percent(part: float) -> str:
    return f"{100 * part:.2f}%"
