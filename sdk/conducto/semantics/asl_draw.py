"""State machines as Mermaid flowcharts, for people who want to see what was compiled."""

import json
from collections.abc import Mapping
from typing import Any

from conducto.semantics.asl import Compiled, Machine

_SHAPES = {
    "Task": ("[", "]"),
    "Choice": ("{", "}"),
    "Succeed": ("([", "])"),
    "Fail": ("([", "])"),
    "Wait": ("[/", "/]"),
}
_ROUND = ("(", ")")


def flowchart(compiled: Compiled, paths: Mapping[str, str]) -> str:
    """Return one Mermaid flowchart with a box for each machine, the one to start first.

    Args:
        compiled: The machines.
        paths: ``{id: path}`` of the nodes, for the labels.
    """
    numbers = {machine.arn: i for i, machine in enumerate(reversed(compiled.machines))}
    drawing = _Drawing(paths, numbers)
    for machine in reversed(compiled.machines):
        drawing.machine(machine)
    return "\n".join(["flowchart TD", *drawing.lines]) + "\n"


class _Drawing:
    """The lines of a flowchart, written scope by scope."""

    def __init__(self, paths: Mapping[str, str], numbers: Mapping[str, int]) -> None:
        self.lines: list[str] = []
        self._paths = paths
        self._numbers = numbers
        self._nodes = 0

    def machine(self, machine: Machine) -> None:
        """Draw a machine in a box."""
        number = self._numbers[machine.arn]
        self._write(1, f"subgraph m{number}[{_quoted(f'machine {number}: {machine.path}')}]")
        self._scope(json.loads(machine.definition), 2)
        self._write(1, "end")

    def _scope(self, scope: Mapping[str, Any], depth: int) -> str:
        """Draw the states of a machine or a branch; return the node where it begins."""
        nodes = {name: self._node(name, state, depth) for name, state in scope["States"].items()}
        for name, state in scope["States"].items():
            for label, target in _edges(state):
                arrow = f"-- {label} -->" if label else "-->"
                self._write(depth, f"{nodes[name]} {arrow} {nodes[target]}")
        return nodes[scope["StartAt"]]

    def _node(self, name: str, state: Mapping[str, Any], depth: int) -> str:
        self._nodes += 1
        node = f"s{self._nodes}"
        if state["Type"] == "Parallel":
            self._write(depth, f"subgraph {node}[{_quoted(self._label(name, state))}]")
            for branch in state["Branches"]:
                self._scope(branch, depth + 1)
            self._write(depth, "end")
            return node
        left, right = _SHAPES.get(state["Type"], _ROUND)
        self._write(depth, f"{node}{left}{_quoted(self._label(name, state))}{right}")
        return node

    def _label(self, name: str, state: Mapping[str, Any]) -> str:
        machine = state.get("Parameters", {}).get("StateMachineArn")
        if machine is not None:
            return f"run machine {self._numbers[machine]}"
        node, _, role = name.partition(".")
        path = self._paths.get(node)
        if state["Type"] == "Task":
            return f"{path} (its tree)" if role == "go" else path or name
        if state["Type"] == "Parallel":
            return f"{path or name}, all at once"
        return {"Choice": "failed?", "Fail": "error", "Wait": "no tree: stays pending"}.get(
            state["Type"], "failed" if role in {"f", "n"} else "done"
        )

    def _write(self, depth: int, line: str) -> None:
        self.lines.append("  " * depth + line)


def _edges(state: Mapping[str, Any]) -> list[tuple[str, str]]:
    edges = [("", state["Next"])] if "Next" in state else []
    edges += [("failed", rule["Next"]) for rule in state.get("Catch", ())]
    edges += [("yes", rule["Next"]) for rule in state.get("Choices", ())]
    if "Default" in state:
        edges.append(("no", state["Default"]))
    return edges


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "#quot;") + '"'
