"""Random trees and scripts from a seed; equal seeds give equal results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conducto_core.run.model.states import Cause
from support.trees import approve, lazy, leaf, mapped, parallel, serial

if TYPE_CHECKING:
    from random import Random

_CALLBACKS: tuple[list[Any], ...] = (
    [["error", ["retry", {"max_num_retries": 1}]]],
    [["error", ["retry_then_skip", {"max_num_retries": 1}]]],
    [["error", ["handle_memory_errors", {"mem_limits": [4, 8]}]]],
    [["killed", ["retry", {"max_num_retries": 1}]]],
    [["error", ["skip_some_errors", {"max_num_errors": 1}]]],
)
_CAUSES = (None, None, None, Cause.EXIT_CODE, Cause.OUT_OF_MEMORY)


def random_tree(
    rng: Random, *, leaves: int = 14, plain: bool = False, lazies: bool = True
) -> dict[str, Any]:
    """Return a random tree.

    Args:
        rng: Source of its shape.
        leaves: Approximate maximum number of Execs.
        plain: Without callbacks and time limits: outcomes alone determine the result.
        lazies: Whether it may contain Lazy nodes.
    """
    if leaves <= 1 or rng.random() < 0.05:
        small = lazies and rng.random() < 0.15
        return (_random_lazy if small else leaf)(**_common(rng, plain=plain))
    children = [
        random_tree(rng, leaves=share, plain=plain, lazies=lazies) for share in _shares(rng, leaves)
    ]
    params = _common(rng, plain=plain)
    if not plain and rng.random() < 0.25:
        params["max_time"] = 5
    kind = rng.choice([serial, serial, parallel])
    return kind(*children, stop_on_error=rng.random() < 0.6, **params)


def ask(node: dict[str, Any], rng: Random) -> None:
    """Make approvals of some commands, in place; Lazies and dedicated containers stay."""
    if _is_lazy(node) or "container_reuse_context" in node:
        return
    if node["type"] == "Exec" and rng.random() < 0.15:
        _to_approval(node, rng)
    for _, child in node.get("children", ()):
        ask(child, rng)


def decide(node: dict[str, Any], rng: Random) -> None:
    """Let some children of Serials depend on the result of an earlier command, in place.

    The children of ``node`` must be those of the root.
    """
    _decide_below(node, "", rng)


def _decide_below(node: dict[str, Any], path: str, rng: Random) -> None:
    children = [] if _is_lazy(node) else node.get("children", ())
    sources: list[str] = []
    for name, child in children:
        below = f"{path}/{name}"
        if sources and rng.random() < 0.8:
            child["run_if"] = [rng.choice(["==", "!="]), rng.choice(sources), [], "a"]
        elif _has_result(child) and node["type"] == "Serial" and node.get("stop_on_error", True):
            sources.append(below)
        _decide_below(child, below, rng)


def _has_result(node: dict[str, Any]) -> bool:
    return "command" in node and not (node.get("skip") or node.get("suppress_errors"))


def expand(node: dict[str, Any], rng: Random) -> None:
    """Make maps that the driver expands of some Lazies, in place."""
    children = node.get("children", ())
    if _is_lazy(node) and rng.random() < 0.4:
        (_, by_driver), *_ = mapped()["children"]
        children[0][1]["expand"] = by_driver["expand"]
    for _, child in children:
        expand(child, rng)


def wait(node: dict[str, Any], rng: Random) -> None:
    """Let some nodes retry failures after a delay, in place."""
    if rng.random() < 0.2:
        node["retry"] = {
            "number": rng.randint(0, 2),
            "delay": rng.choice([0, 5, 50]),
            "jitter": 0.5,
            "on": rng.choice([None, ["exit_code"], ["worker_lost", "out_of_memory"]]),
        }
    for _, child in node.get("children", ()):
        wait(child, rng)


def tolerate(node: dict[str, Any], rng: Random) -> None:
    """Make maps that tolerate failures of some groups of commands, in place."""
    children = [child for _, child in node.get("children", ())]
    commands = all("command" in child for child in children)
    if node["type"] == "Parallel" and children and commands and rng.random() < 0.6:
        node["map"] = {"min_done": rng.choice([0, 0.3, 0.5, 0.67, 0.75, 1])}
    for child in [] if _is_lazy(node) else children:
        tolerate(child, rng)


def _to_approval(node: dict[str, Any], rng: Random) -> None:
    node.pop("command")
    node.update(approve(node["name"]))
    if rng.random() < 0.3:
        node["max_time"] = 5


def _is_lazy(node: dict[str, Any]) -> bool:
    return any(name == "Generate" for name, _ in node.get("children", ()))


def _shares(rng: Random, leaves: int) -> list[int]:
    """Return ``leaves`` divided among one to six children."""
    wide = rng.random() < 0.5
    shares = []
    while leaves > 0 and len(shares) < 6:
        shares.append(rng.randint(1, 2 if wide and leaves > 2 else leaves))
        leaves -= shares[-1]
    if rng.random() < 0.05:
        shares.append(0)  # one Exec more than requested, or none
    return shares


def _random_lazy(callbacks: list[Any] | None = None, **params: Any) -> dict[str, Any]:
    node = lazy(**params)
    node["stop_on_error"] = params["skip"] is params["suppress_errors"]
    if callbacks is not None:
        generate = node["children"][0][1]
        generate["callbacks"] = [*generate["callbacks"], *callbacks]
    return node


def _common(rng: Random, *, plain: bool) -> dict[str, Any]:
    params: dict[str, Any] = {
        "skip": rng.random() < 0.1,
        "suppress_errors": rng.random() < 0.15,
    }
    if not plain and rng.random() < 0.3:
        params["callbacks"] = rng.choice(_CALLBACKS)
    return params


def random_cause(rng: Random) -> Cause | None:
    return rng.choice(_CAUSES)
