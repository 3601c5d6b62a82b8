"""Maps: a command for each item of a list that another command returns.

python pipeline.py --local --run
"""

from collections.abc import Iterator
from typing import NamedTuple

import conducto as co


class Region(NamedTuple):
    """A region, and the passengers of its airports in millions."""

    country: str
    passengers: list[float]


class Score(NamedTuple):
    """The size of a region's traffic."""

    country: str
    total: float


def survey(year: int = 2026) -> co.Serial:
    """Score the regions of a plan, and choose the best one."""
    root = co.Serial(image=co.Image("python:3.11-slim", copy_dir="."), cpu=0.5, mem=0.5)
    root["Plan"] = planned = co.Exec(plan, year)
    root["Scores"] = scores = co.map(
        score,
        over=planned.result,
        name="{item.country}",
        fixed={"factor": 1.5},
        max_concurrent=4,
        min_done=0.75,
        missing="none",
    )
    root["Labels"] = labels = co.map(label, over=scores.results, name="{index}")
    root["Best"] = co.Exec(best, scores.results)
    root["List"] = co.Exec("conducto result --each /Labels", results=[labels.results])
    return root


def plan(year: int) -> list[Region]:
    """Return the regions of a year."""
    if year < 2000:
        raise ValueError(f"nothing is known about {year}")
    return [
        Region("Denmark", [30.3, 3.7]),
        Region("France", [70.3, 34.6, 11.6]),
        Region("Iceland", [8.4]),
        Region("Utopia", []),
    ]


def score(region: Region, factor: float) -> Score:
    """Return the score of one region."""
    if not region.passengers:
        raise SystemExit(f"{region.country} has no airports")
    return Score(region.country, round(factor * sum(region.passengers), 1))


def label(found: Score | None) -> str:
    """Return a line of text for a score, or for a region without one."""
    return "no score" if found is None else f"{found.country}: {found.total}"


def best(scores: Iterator[Score | None]) -> str:
    """Return the country with the highest score."""
    return max((each for each in scores if each is not None), key=lambda each: each.total).country


if __name__ == "__main__":
    co.main(default=survey)
