"""The plan of the latest continuation, as clients read it."""

from collections import Counter
from itertools import islice

from conducto_core.model.continuation import (
    ContinuationParams,
    Fate,
    LatestContinuation,
    PlanRecord,
)
from conducto_core.model.form_codec import unpack_form


def latest_continuation(stored: bytes | None, params: ContinuationParams) -> LatestContinuation:
    """Return the queried part of a plan.

    Args:
        stored: The plan (`PlanRecord`), packed; None if the tree was never replaced.
        params: The query.
    """
    if stored is None:
        return LatestContinuation()
    plan = PlanRecord.model_validate(unpack_form(stored))
    below = params.path.rstrip("/") + "/"
    found = [n for n in plan.nodes if n.path == params.path or n.path.startswith(below)]
    numbers = Counter(each.fate for each in found)
    found.sort(key=lambda each: each.fate is Fate.KEPT)
    return LatestContinuation(
        time=plan.time,
        kept=numbers[Fate.KEPT],
        runs=numbers[Fate.RUNS],
        skipped=numbers[Fate.SKIPPED],
        nodes=tuple(islice(found, params.limit)),
        removed=len(plan.removed),
    )
