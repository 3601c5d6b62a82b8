"""The timeline: a bar for each attempt, thin for its waits and thick while it ran."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from conducto_core.export.collect import ExportReport
from conducto_core.export.markup import MARKS, Markup, shown_path, tag, void
from conducto_core.run.model.labels import duration, wait_text
from conducto_core.run.model.records import AttemptRecord, Phase, PhaseKind, phases_of
from conducto_core.run.model.states import FINISHED, State

#: Maximum number of bars; the longest are kept.
MAX_BARS = 200
_ROW, _HEAD = 26, 18
#: Position of a bar in its row, and its height; waits are lower, and centred.
_BAR, _TALL = 15, 8
_HEIGHTS: dict[PhaseKind, int] = {"image": 6, "turn": 3, "start": 5, "unknown": 1}
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
#: Labels of waits in the legend, in their order in time.
_WAITS: dict[PhaseKind, str] = {
    "image": "waits for its image",
    "turn": "waits for its turn",
    "start": "waits for its container",
    "unknown": "waits for unknown reasons",
}
#: Width of a shape of the legend, and the size of its box.
_SAMPLE = 22
_SAMPLE_BOX: dict[str, str | int] = {"width": 24, "height": 14, "aria_hidden": "true"}
#: The fill pattern of waits for an image.
_STROKES = tag(
    "defs",
    tag(
        "pattern",
        void("rect", width=2, height=4),
        id="strokes",
        width=4,
        height=4,
        patternUnits="userSpaceOnUse",
    ),
)


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


def timeline(run: ExportReport) -> Markup:
    """Return the section; empty if no attempt started."""
    bars = bars_of(run)
    if not bars:
        return Markup("")
    shown = _longest(bars)
    note = f"Thin while an attempt waited, thick while it ran; {len(shown):,} attempts."
    if len(shown) < len(bars) or not run.whole:
        which = "the longest" if len(shown) < len(bars) else "those"
        note = f"{note[:-1]}: {which} of the nodes that are shown below."
    chart = tag("div", _legend(shown), _chart(shown), class_="chart")
    return tag("section", tag("h2", "Timeline"), tag("p", note, class_="muted"), chart)


def _longest(bars: list[Bar]) -> list[Bar]:
    by_length = sorted(range(len(bars)), key=lambda at: bars[at].begin - bars[at].end)
    return [bars[at] for at in sorted(by_length[:MAX_BARS])]


def _legend(bars: list[Bar]) -> Markup:
    kinds = {phase.kind for bar in bars for phase in bar.waits}
    entries = [
        tag("li", tag("svg", _wait(kind, "1", f"{_SAMPLE}", 3), **_SAMPLE_BOX), text)
        for kind, text in _WAITS.items()
        if kind in kinds
    ]
    return tag("ul", *entries, class_="legend muted") if entries else Markup("")


def _chart(bars: list[Bar]) -> Markup:
    first = min(bar.begin for bar in bars)
    span = max(max(bar.end for bar in bars) - first, 0.001)
    height = _HEAD + _ROW * len(bars)
    rows = (_row(bar, _HEAD + _ROW * at, first, span) for at, bar in enumerate(bars))
    return tag(
        "svg",
        _STROKES,
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
    shapes = [
        _wait(phase.kind, *_place(phase.begin - first, phase.end - first, span), top + _BAR)
        for phase in bar.waits
    ]
    if bar.started is not None:
        x, width = _place(max(bar.begin, bar.started) - first, bar.end - first, span)
        state = attempt.state.value
        shapes.append(void("rect", x=x, y=top + _BAR, width=width, height=_TALL, class_=state))
    name = shown_path(attempt.path, _LABEL)
    sign = tag("tspan", MARKS[attempt.state], class_=attempt.state.value)
    words = " ".join((name, *_numbered(attempt), _took(bar)))
    label = tag("text", sign, " ", words, x="0", y=top + 11)
    return tag("g", tag("title", _legend_text(bar)), label, *shapes)


def _numbered(attempt: AttemptRecord) -> Iterable[str]:
    return (f"#{attempt.number}",) if attempt.number > 1 else ()


def _took(bar: Bar) -> str:
    return "waiting" if bar.started is None else duration(bar.ran)


def _legend_text(bar: Bar) -> str:
    attempt = bar.attempt
    told = [f"{shown_path(attempt.path)}, attempt {attempt.number}: {attempt.state.value}"]
    if bar.started is not None:
        waited = wait_text(attempt)
        told += [*([] if waited is None else [waited]), f"ran {duration(bar.ran)}"]
    if attempt.state is not State.DONE and attempt.exit_code is not None:
        told.append(f"exit {attempt.exit_code}")
    return ", ".join(told)


def _wait(kind: PhaseKind, x: str, width: str, top: int) -> Markup:
    """Return the shape of a wait: as in the web app, distinguishable without colour."""
    height = _HEIGHTS[kind]
    y = top + (_TALL - height) / 2
    fill = "url(#strokes)" if kind == "image" else None
    place = {"x": x, "y": f"{y:g}", "width": width, "height": f"{height}"}
    return void("rect", **place, fill=fill, class_=f"wait {kind}")


def _place(begin: float, end: float, span: float) -> tuple[str, str]:
    """Return the start and width of a period; half a percent is still visible."""
    return _percent(begin / span), _percent(max((end - begin) / span, 0.004))


def _percent(part: float) -> str:
    return f"{100 * part:.2f}%"
