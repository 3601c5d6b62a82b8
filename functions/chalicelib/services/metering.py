"""Usage limits of organisations: why no command may start now."""

from collections.abc import Callable
from functools import partial
from threading import Lock

from chalicelib.ports.identity import InUse
from chalicelib.services.dependencies import Dependencies
from conducto_core.api.queries.usage_reports import month_of
from conducto_core.errors import PlanFullError
from conducto_core.model.wait_phases import Wait
from conducto_core.semantics import waits

__all__ = [
    "Allowances",
    "check_usage",
    "exec_seconds",
    "month_of",
    "reason_to_wait",
    "workers_reserved",
    "workers_used",
]

#: Seconds for which a process keeps a month's usage. Otherwise each entry of a pipeline whose
#: commands wait for a worker would read it; one that starts workers always does.
USAGE_SECONDS = 10.0


class Allowances:
    """Usage of months, as this process knows it.

    Args:
        read: Reads the seconds of an organisation in a month.
        clock: Seconds since the epoch.
    """

    def __init__(self, read: Callable[[str, str], float], clock: Callable[[], float]) -> None:
        self._read, self._clock = read, clock
        self._kept: dict[tuple[str, str], tuple[float, float]] = {}
        self._lock = Lock()

    def seconds(self, org: str, month: str) -> float:
        """Return an organisation's seconds in a month; the latest may be missing."""
        now = self._clock()
        with self._lock:
            read, seconds = self._kept.get((org, month), (-USAGE_SECONDS, 0.0))
            if 0 <= now - read < USAGE_SECONDS:
                return seconds
        return self.current(org, month)

    def current(self, org: str, month: str) -> float:
        """Read an organisation's seconds in a month."""
        now, seconds = self._clock(), self._read(org, month)
        with self._lock:
            for key, (read, _) in list(self._kept.items()):
                if now - read >= USAGE_SECONDS:
                    del self._kept[key]
            self._kept[org, month] = (now, seconds)
        return seconds


def exec_seconds(cloud: Dependencies, org: str, month: str) -> float:
    """Return the current seconds of an organisation in a month."""
    return cloud.orgs.usage(org, month).get("exec_seconds", 0.0)


def check_usage(cloud: Dependencies, org: str) -> None:
    """Check that the month's allowance is not used up; raises `PlanFullError`."""
    used = cloud.orgs.in_use(org)
    reason = _over_minutes(cloud, used, partial(exec_seconds, cloud, org))
    if reason is not None:
        raise PlanFullError(str(reason))


def reason_to_wait(
    cloud: Dependencies, org: str, used: InUse, seconds: Callable[[str, str], float]
) -> Wait | None:
    """Return why no worker and no command of an organisation may start now, or None.

    ``seconds`` returns its seconds in a month.
    """
    if used.suspended:
        return waits.spend_limit(used.billing.limit, cloud.remedies())
    return _over_minutes(cloud, used, partial(seconds, org))


def _over_minutes(
    cloud: Dependencies, current: InUse, seconds: Callable[[str], float]
) -> Wait | None:
    plan = current.plan
    if plan.exec_minutes is None:
        return None
    used = seconds(month_of(cloud.clock())) / 60
    if used < plan.exec_minutes:
        return None
    return waits.plan_minutes(plan, used, cloud.remedies())


def workers_used(cloud: Dependencies, used: InUse, others: int) -> Wait:
    """Return the wait for a worker of the plan; ``others`` are used by other pipelines."""
    return waits.plan_workers(used.plan, others, _or_more(cloud, used))


def workers_reserved(cloud: Dependencies, used: InUse) -> Wait:
    """Return the wait of a ``new`` group for workers that others have reserved."""
    return waits.plan_reserved(used.plan, used.reserved, _or_more(cloud, used))


def _or_more(cloud: Dependencies, used: InUse) -> str:
    remedies = cloud.remedies()
    own = remedies.billing and not used.paying
    return f"or {remedies.larger_plan()}" if own else "or choose a larger plan"
