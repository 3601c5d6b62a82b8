"""Labels and edges of the states of a compiled machine, for diagrams."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import sqrt
from typing import Any, NamedTuple

from conducto_core.asl.rules.compiler import Compiled, Machine

State = Mapping[str, Any]

_BY_TYPE = {"Choice": "failed?", "Fail": "error", "Wait": "no tree: stays pending"}
_FAILED_ROLES = frozenset({"f", "n"})


class Edge(NamedTuple):
    """An edge from a state, with its label."""

    word: str
    target: str


def edges_of(state: State) -> list[Edge]:
    """Return the edges of a state, in the order of the definition."""
    edges = [Edge("", state["Next"])] if "Next" in state else []
    edges += [Edge("failed", rule["Next"]) for rule in state.get("Catch", ())]
    edges += [Edge("yes", rule["Next"]) for rule in state.get("Choices", ())]
    if "Default" in state:
        edges.append(Edge("no", state["Default"]))
    return edges


class Labels:
    """Labels of machines and states for display.

    Attributes:
        numbers: ``{ARN: number}`` of the machines; the one to start is 0.
    """

    def __init__(self, machines: Sequence[Machine], paths: Mapping[str, str]) -> None:
        """Create labels for machines, the one to start last; ``paths`` is ``{id: path}``."""
        self.numbers = {machine.arn: i for i, machine in enumerate(reversed(machines))}
        self._paths = paths

    def machine(self, machine: Machine) -> str:
        """Return the label of a machine."""
        return f"machine {self.numbers[machine.arn]}: {machine.path}"

    def state(self, name: str, state: State) -> str:
        """Return the label of a state."""
        machine = state.get("Parameters", {}).get("StateMachineArn")
        if machine is not None:
            return f"run machine {self.numbers[machine]}"
        node, _, role = name.partition(".")
        path = self._paths.get(node)
        if state["Type"] == "Task":
            return f"{path} (its tree)" if role == "go" else path or name
        if state["Type"] == "Wait" and role == "a":
            return f"{path or name}, until it is approved"
        if state["Type"] == "Parallel":
            return f"{path or name}, all at once"
        return _BY_TYPE.get(state["Type"], "failed" if role in _FAILED_ROLES else "done")


# ----------------------------------------------------------------------------------------
# State machines as Mermaid flowcharts.


_SHAPES = {
    "Task": ("[", "]"),
    "Choice": ("{", "}"),
    "Succeed": ("([", "])"),
    "Fail": ("([", "])"),
    "Wait": ("[/", "/]"),
}
_ROUND = ("(", ")")


def flowchart(compiled: Compiled, paths: Mapping[str, str]) -> str:
    """Return a Mermaid flowchart, the machine to start first; ``paths`` is ``{id: path}``."""
    drawing = _Drawing(Labels(compiled.machines, paths))
    for machine in reversed(compiled.machines):
        drawing.machine(machine)
    return "\n".join(["flowchart TD", *drawing.lines]) + "\n"


class _Drawing:
    """The lines of a flowchart, written scope by scope."""

    def __init__(self, words: Labels) -> None:
        self.lines: list[str] = []
        self._words = words
        self._nodes = 0

    def machine(self, machine: Machine) -> None:
        number = self._words.numbers[machine.arn]
        self._write(1, f"subgraph m{number}[{_quoted(self._words.machine(machine))}]")
        self._scope(json.loads(machine.definition), 2)
        self._write(1, "end")

    def _scope(self, scope: Mapping[str, Any], depth: int) -> str:
        """Draw the states of a machine or a branch; return its first node."""
        nodes = {name: self._node(name, state, depth) for name, state in scope["States"].items()}
        for name, state in scope["States"].items():
            for label, target in edges_of(state):
                arrow = f"-- {label} -->" if label else "-->"
                self._write(depth, f"{nodes[name]} {arrow} {nodes[target]}")
        return nodes[scope["StartAt"]]

    def _node(self, name: str, state: Mapping[str, Any], depth: int) -> str:
        self._nodes += 1
        node = f"s{self._nodes}"
        if state["Type"] == "Parallel":
            self._write(depth, f"subgraph {node}[{_quoted(self._words.state(name, state))}]")
            for branch in state["Branches"]:
                self._scope(branch, depth + 1)
            self._write(depth, "end")
            return node
        left, right = _SHAPES.get(state["Type"], _ROUND)
        self._write(depth, f"{node}{left}{_quoted(self._words.state(name, state))}{right}")
        return node

    def _write(self, depth: int, line: str) -> None:
        self.lines.append("  " * depth + line)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "#quot;") + '"'


# ----------------------------------------------------------------------------------------
# State machines as one SVG picture, without a graph layout program.
#
# A machine or a branch is drawn in rows: a state is in the row below its last predecessor. Edges to
# the next row are curves; longer edges run in lanes at the right, one lane for each target, so that
# the many edges to ``failed`` are one line. A Parallel is a box around its branches, which are
# placed side by side and wrap like words.


_CHAR = 7.0  # width of a character of the labels, in pixels
_TITLE = 24.0
_BOX = 28.0
_GAP = 16.0
_ROW = 34.0
_LANE = 14.0
_LONGEST = 48  # characters of a label
_PAGE = 900.0  # branches wrap at this width, or form a square if there are many

_STYLE = (
    "text{font:12px ui-monospace,monospace;fill:#1f2933}"
    "rect{fill:#fff;stroke:#52606d}"
    ".scope{fill:#f5f7fa;stroke:#9aa5b1}"
    ".task{fill:#e3f0ff;stroke:#2764ab}"
    ".ok{fill:#e5f6ea;stroke:#2b7a41}"
    ".bad{fill:#fdeaea;stroke:#a83232}"
    "path{fill:none;stroke:#52606d}"
    ".failed{stroke:#a83232;stroke-dasharray:4 3}"
    ".word{font-size:10px;fill:#52606d}"
    "#tip path{fill:#52606d;stroke:none}"
)
_TIP = (
    '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0 0L8 4L0 8z"/></marker>'
)


@dataclass(frozen=True, slots=True)
class _Figure:
    """A drawing from (0, 0) to the right and down.

    Attributes:
        svg: Its elements.
    """

    width: float
    height: float
    svg: str

    def at(self, x: float, y: float) -> str:
        return f'<g transform="translate({x:g} {y:g})">{self.svg}</g>'


@dataclass(frozen=True, slots=True)
class _Place:
    """The position of a state."""

    x: float
    y: float
    figure: _Figure
    row: int

    @property
    def middle(self) -> float:
        return self.x + self.figure.width / 2

    @property
    def bottom(self) -> float:
        return self.y + self.figure.height

    @property
    def right(self) -> float:
        return self.x + self.figure.width


def svg(compiled: Compiled, paths: Mapping[str, str]) -> str:
    """Return a picture, the machine to start first; ``paths`` is ``{id: path}``."""
    words = Labels(compiled.machines, paths)
    boxes = [
        _titled(words.machine(machine), _scope(json.loads(machine.definition), words))
        for machine in reversed(compiled.machines)
    ]
    drawing = _wrapped(boxes, 0)
    width, height = drawing.width + 2 * _GAP, drawing.height + 2 * _GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}">\n'
        f'<style>{_STYLE}</style><defs>{_TIP}</defs><rect width="100%" height="100%" '
        f'style="stroke:none"/>\n{drawing.at(_GAP, _GAP)}\n</svg>\n'
    )


# ---- boxes ------------------------------------------------------------------------------------


def _state(name: str, state: State, words: Labels) -> _Figure:
    label = words.state(name, state)
    if state["Type"] == "Parallel":
        branches = [_scope(branch, words) for branch in state["Branches"]]
        area = sum(b.width * b.height for b in branches)
        return _titled(label, _wrapped(branches, max(_PAGE, sqrt(2 * area))))
    kind = _kind(state, label)
    text = _shortened(label)
    width = _CHAR * len(text) + 2 * _GAP
    round_ = _BOX / 2 if kind in {"ok", "bad"} else 4
    svg_text = (
        f'<rect class="{kind}" width="{width:g}" height="{_BOX:g}" rx="{round_:g}"/>'
        f'<text x="{width / 2:g}" y="{_BOX / 2 + 4:g}" text-anchor="middle">{escape(text)}</text>'
    )
    hint = "" if text == label else f"<title>{escape(label)}</title>"
    return _Figure(width, _BOX, hint + svg_text)


def _kind(state: State, label: str) -> str:
    if state["Type"] == "Task":
        return "task"
    if state["Type"] == "Choice":
        return "choice"
    return "ok" if label == "done" else "bad"


def _titled(label: str, content: _Figure) -> _Figure:
    text = _shortened(label)
    width = max(content.width, _CHAR * len(text)) + 2 * _GAP
    height = content.height + _TITLE + 2 * _GAP
    inside = content.at((width - content.width) / 2, _TITLE + _GAP)
    return _Figure(
        width,
        height,
        f'<rect class="scope" width="{width:g}" height="{height:g}" rx="6"/>'
        f'<text x="{_GAP:g}" y="{_TITLE - 4:g}">{escape(text)}</text>{inside}',
    )


def _wrapped(figures: Iterable[_Figure], limit: float) -> _Figure:
    placed: list[str] = []
    x = y = width = line = 0.0
    for figure in figures:
        if x and x + figure.width > limit:
            x, y, line = 0.0, y + line + _GAP, 0.0
        placed.append(figure.at(x, y))
        x += figure.width + _GAP
        width, line = max(width, x - _GAP), max(line, figure.height)
    return _Figure(width, y + line, "\n".join(placed))


def _shortened(label: str) -> str:
    """Shorten a label in the middle: its two ends say more."""
    if len(label) <= _LONGEST:
        return label
    half = (_LONGEST - 1) // 2
    return f"{label[:half]}…{label[-half:]}"


# ---- scopes -----------------------------------------------------------------------------------


def _scope(scope: Mapping[str, Any], words: Labels) -> _Figure:
    states: Mapping[str, State] = scope["States"]
    places = _placed(states, _rows(scope["StartAt"], states), words)
    width = max(place.right for place in places.values())
    height = max(place.bottom for place in places.values())
    lanes: dict[str, float] = {}
    edges = []
    for name, state in states.items():
        for edge in edges_of(state):
            source, target = places[name], places[edge.target]
            if target.row == source.row + 1:
                edges.append(_curve(edge, source, target))
                continue
            lane = lanes.setdefault(edge.target, width + _LANE * (len(lanes) + 1))
            edges.append(_detour(edge, source, target, lane))
    boxes = [place.figure.at(place.x, place.y) for place in places.values()]
    wide = width + (_LANE * (len(lanes) + 1) if lanes else 0)
    return _Figure(wide, height, "\n".join([*edges, *boxes]))


def _rows(start: str, states: Mapping[str, State]) -> dict[str, int]:
    """Return ``{state: row}``, each below all its predecessors; a scope has no cycles."""
    rows = {start: 0}
    for name in _in_order(start, states):
        for edge in edges_of(states[name]):
            rows[edge.target] = max(rows.get(edge.target, 0), rows[name] + 1)
    return rows


def _in_order(start: str, states: Mapping[str, State]) -> list[str]:
    done: dict[str, None] = {}
    stack = [(start, False)]
    while stack:
        name, left = stack.pop()
        if left:
            done.setdefault(name)
        elif name not in done:
            stack.append((name, True))
            stack += [(e.target, False) for e in edges_of(states[name]) if e.target not in done]
    return list(reversed(done))


def _placed(
    states: Mapping[str, State], rows: Mapping[str, int], words: Labels
) -> dict[str, _Place]:
    far = _targets_of_lanes(states, rows)  # these go to the right of their row, next to the lanes
    lines: dict[int, list[str]] = {}
    for name, row in sorted(rows.items(), key=lambda item: (item[1], item[0] in far)):
        lines.setdefault(row, []).append(name)
    figures = {name: _state(name, states[name], words) for name in rows}
    width = max(sum(figures[n].width + _GAP for n in line) - _GAP for line in lines.values())
    places: dict[str, _Place] = {}
    y = 0.0
    for row, line in lines.items():
        x = (width - sum(figures[n].width + _GAP for n in line) + _GAP) / 2
        for name in line:
            places[name] = _Place(x, y, figures[name], row)
            x += figures[name].width + _GAP
        y += max(figures[n].height for n in line) + _ROW
    return places


def _targets_of_lanes(states: Mapping[str, State], rows: Mapping[str, int]) -> set[str]:
    return {
        edge.target
        for name in rows
        for edge in edges_of(states[name])
        if rows[edge.target] != rows[name] + 1
    }


# ---- edges ------------------------------------------------------------------------------------


def _curve(edge: Edge, source: _Place, target: _Place) -> str:
    x1, y1, x2, y2 = source.middle, source.bottom, target.middle, target.y
    bend = (y2 - y1) / 2
    line = f"M{x1:g} {y1:g}C{x1:g} {y1 + bend:g} {x2:g} {y2 - bend:g} {x2:g} {y2:g}"
    return _line(edge, line) + _word(edge, (x1 + x2) / 2 + 4, (y1 + y2) / 2)


def _detour(edge: Edge, source: _Place, target: _Place, lane: float) -> str:
    y1, y2 = source.bottom - 8, target.y + 8
    line = f"M{source.right:g} {y1:g}H{lane:g}V{y2:g}H{target.right:g}"
    return _line(edge, line) + _word(edge, source.right + 4, y1 - 3)


def _line(edge: Edge, line: str) -> str:
    kind = ' class="failed"' if edge.word == "failed" else ""
    return f'<path{kind} d="{line}" marker-end="url(#tip)"/>'


def _word(edge: Edge, x: float, y: float) -> str:
    return f'<text class="word" x="{x:g}" y="{y:g}">{edge.word}</text>' if edge.word else ""
