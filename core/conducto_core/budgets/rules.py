"""Budgets of nodes: the number of commands that may start, and sentences. No I/O, no clock.

The cost of a node is that of the time of its commands on workers. The cost of the root is that of
all workers of the pipeline, with their start and idle time. A command starts only if the cost so
far, another minute of each running command and a minute of the command itself fit into the budgets
of its node and of the nodes above. Running commands are not stopped.
"""

from typing import Any, Final

from conducto_core.run.model.labels import in_dollars
from conducto_core.workers.rules.fargate import PRICES, SIZES_BY_PRICE, Size

#: Seconds for which each running command is counted in advance, and the least time of a command.
AHEAD: Final = 60.0
#: How the problem of a pipeline begins that is paused because of a budget.
_USED_UP: Final = "the budget of "


def minute_of(size: Size) -> float:
    """Return the price of a minute of a worker."""
    return PRICES.worker_hour(size) * AHEAD / 3600


#: The price of a minute of the smallest worker.
LEAST: Final = minute_of(SIZES_BY_PRICE[0])


def affordable(budget: float, committed: float, least: float) -> int:
    """Return how many further commands may start within a budget.

    Args:
        budget: Dollars.
        committed: The cost so far, and that of the next minute of running commands.
        least: The price of a minute of the cheapest worker that can run one of them.

    >>> affordable(1.0, 0.5, 0.2), affordable(1.0, 1.2, 0.2)
    (2, 0)
    """
    return max(0, int((budget - committed) / least + 1e-9))


def used_up(path: str, budget: float, cost: float) -> str:
    """Return why nothing starts at or below a node."""
    limit, so_far = in_dollars(budget), in_dollars(cost)
    return f"{_USED_UP}{limit} of {path} is used up: it has cost {so_far} so far"


def is_used_up(problem: str | None) -> bool:
    """Return whether a pipeline is paused because of a budget."""
    return problem is not None and problem.startswith(_USED_UP)


def too_low(path: str, budget: float, cost: float) -> str | None:
    """Return why a budget is refused, or None."""
    if budget > cost:
        return None
    return (
        f"budget={budget:g} is not above the cost of {path} so far, {in_dollars(cost)}; set a "
        "higher budget, or pause the pipeline"
    )


def with_budget(form: dict[str, Any], budget: float) -> dict[str, Any]:
    """Return a launch form whose root has a budget, in place of its own.

    >>> with_budget({"nodes": [{"id": "b"}, {"id": "a"}], "edges": [["a", "b", "x"]]}, 2.0)["nodes"]
    [{'id': 'b'}, {'id': 'a', 'budget': 2.0}]
    """
    below = {child for _, child, _ in form["edges"]}
    nodes = [node if node["id"] in below else {**node, "budget": budget} for node in form["nodes"]]
    return {**form, "nodes": nodes}


def with_default(form: dict[str, Any], *defaults: float | None) -> dict[str, Any]:
    """Return a launch form whose root has the first default, unless it has a budget of its own.

    >>> form = {"nodes": [{"id": "a", "budget": 1.0}], "edges": []}
    >>> with_default(form, 2.0) is form
    True
    """
    default = next((each for each in defaults if each is not None), None)
    if default is None:
        return form
    below = {child for _, child, _ in form["edges"]}
    own = any(each.get("budget") is not None for each in form["nodes"] if each["id"] not in below)
    return form if own else with_budget(form, default)


#: The least and the greatest price with the durations of earlier runs, None without any, and the
#: price if every command runs until its time limit.
PriceRange = tuple[float | None, float | None, float]


def price_line(cost: PriceRange, budget: float | None, price: PriceRange | None = None) -> str:
    """Return the line about the price that precedes a launch in the cloud.

    Args:
        cost: At AWS's prices, which budgets are compared with.
        budget: That of the root.
        price: What the organisation pays; None: nothing is billed.

    >>> price_line((0.4, 0.9, 2.1), None)
    'about $0.40 to $0.90, at most $2.10 by the time limits; budget none'
    """
    limit = "none" if budget is None else in_dollars(budget)
    if price is None:
        return f"{_range(*cost)} by the time limits; budget {limit}"
    return f"{_range(*price)} by the time limits; at AWS's prices {_range(*cost)}, budget {limit}"


def _range(low: float | None, high: float | None, most: float) -> str:
    limit = f"at most ${_rounded(most)}"
    if low is None or high is None:
        return limit
    same = _rounded(low) == _rounded(high)
    return f"about ${_rounded(low)}" + ("" if same else f" to ${_rounded(high)}") + f", {limit}"


def _rounded(dollars: float) -> str:
    return f"{dollars:,.2f}" if dollars >= 0.01 or dollars == 0 else "0.01"  # noqa: PLR2004  a cent
