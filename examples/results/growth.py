"""Logistic growth: functions that return results, and record metrics and artifacts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import conducto as co

CAPACITY = 100.0


@dataclass
class Fit:
    """The outcome of a simulation."""

    rate: float
    size: float
    days: int


def simulate(rate: float, days: int) -> Fit:
    """Let a population grow, with a point of the metric for each day."""
    size, sizes = 1.0, []
    for day in range(days):
        size += rate * size * (1 - size / CAPACITY)
        sizes.append(size)
        co.metric("size", size, step=day)
    draw(sizes)
    return Fit(rate, round(size, 3), days)


def draw(sizes: list[float]) -> None:
    """Draw the growth as an artifact of the node."""
    points = " ".join(f"{10 * day},{CAPACITY - size:.1f}" for day, size in enumerate(sizes))
    width = 10 * len(sizes)
    Path("growth.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {CAPACITY}">'
        f'<polyline points="{points}" fill="none" stroke="black"/></svg>',
        encoding="utf-8",
    )
    co.artifact("growth.svg", title="Growth of the population")


def best(fits: list[Fit], goal: float) -> dict[str, float]:
    """Choose the slowest growth that reaches the goal."""
    reached = [fit for fit in fits if fit.size >= goal]
    chosen = min(reached, key=lambda fit: fit.rate)
    return {"rate": chosen.rate, "size": chosen.size}
