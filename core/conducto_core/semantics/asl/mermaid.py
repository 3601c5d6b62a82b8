"""State machines as Mermaid flowcharts."""

import json
from collections.abc import Mapping
from typing import Any

from conducto_core.semantics.asl.compiler import Compiled, Machine
from conducto_core.semantics.asl.labels import Labels, edges_of

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
