"""Labels and edges of the states of a compiled machine, for diagrams."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from conducto_core.semantics.asl.compiler import Machine

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
