"""Results as a table and as JSON."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.running import Results, Row

_HEAD = ("metric", "median", "noise", "budget", "stretch", "")
_UNITS = {"x": "×"}  # noqa: RUF001  the sign that is meant


def table(results: Results) -> str:
    """Return the table, with a last line about failures and budgets."""
    lines = [_HEAD, *map(_cells, results.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    text = [_line(line, widths) for line in lines]
    text += [f"{name}: failed: {why}" for name, why in results.failed.items()]
    over = len(results.over_budget)
    budgets = sum(row.budget is not None for row in results.rows)
    text.append(f"{budgets - over} of {budgets} budgets met, in {results.seconds:.0f} s")
    return "\n".join(text)


def document(results: Results, machine: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of the results file.

    Returns:
        ``{"machine": {...}, "metrics": {name: median}, "noise": {name: share of the median},
        "budgets": {name: number}, "over_budget": [name], "failed": {measurement: why}}``.
    """
    rows = results.rows
    return {
        "machine": {**machine, "bench_seconds": round(results.seconds, 1)},
        "metrics": {row.name: _rounded(row.sample.median) for row in rows},
        "noise": {r.name: round(r.sample.noise, 3) for r in rows if r.sample.noise is not None},
        "budgets": {row.name: row.budget for row in rows if row.budget is not None},
        "over_budget": [row.name for row in results.over_budget],
        "failed": dict(results.failed),
    }


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a document; create its directory if necessary."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def _cells(row: Row) -> tuple[str, ...]:
    unit = _UNITS.get(row.unit, row.unit)
    noise = row.sample.noise
    decision = {None: "", True: "ok", False: "OVER"}[row.within_budget]
    if decision == "ok" and row.stretch is not None and row.sample.median <= row.stretch:
        decision = "ok, stretch too"
    return (
        row.name,
        f"{_number(row.sample.median)} {unit}",
        "" if noise is None else f"{noise:.0%}",
        "" if row.budget is None else _number(row.budget),
        "" if row.stretch is None else _number(row.stretch),
        decision,
    )


def _line(cells: Iterable[str], widths: Iterable[int]) -> str:
    name, *numbers, decision = zip(cells, widths, strict=True)
    padded = [f"{name[0]:<{name[1]}}", *(f"{text:>{width}}" for text, width in numbers)]
    return "  ".join([*padded, decision[0]]).rstrip()


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
