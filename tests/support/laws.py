"""The number of examples of a property test, reduced where it runs many times over."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings

#: A fraction of the examples, such as ``0.1``, for `support.mutations`, which runs the laws once
#: per mutation: it needs the same examples each time and no shrinking.
EFFORT = "CONDUCTO_TEST_EFFORT"


def law(examples: int) -> Callable[[Any], Any]:
    """Return the decorator of a property test with that many examples."""
    effort = os.environ.get(EFFORT)
    quick: dict[str, Any] = {}
    if effort is not None:
        quick = {"phases": [Phase.generate], "database": None, "derandomize": True}
    return settings(
        max_examples=max(1, round(examples * float(effort or 1))),
        suppress_health_check=list(HealthCheck),
        **quick,
    )
