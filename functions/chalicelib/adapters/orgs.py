"""Organisations, their plans, the workers they have and what they use."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from chalicelib.adapters import keys
from chalicelib.adapters.failures import code_of, reasons_of
from chalicelib.adapters.table import Table, Update
from chalicelib.ports import Plan, PlanLimitError, Spender, ThrottledError
from conducto.model.usage import PipelineSpent, Spent

#: Seconds for which it is known what was counted: longer than anything comes twice.
METERED_SECONDS = 60 * 86_400
_CANCELLED = "TransactionCanceledException"


class TableOrgs:
    """A `chalicelib.ports.Orgs`.

    Args:
        table: Where they are.
        clock: Seconds since the epoch.
    """

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def plan(self, org: str) -> Plan:
        """Return an org's plan; the free one when nothing else is known."""
        return self.plan_and_workers(org)[0]

    def set_plan(self, org: str, plan: Plan) -> None:
        """Change it; the workers that the org has stay counted."""
        self._table.update(Update(keys.org(org), set={"plan": json.dumps(asdict(plan))}))

    def workers(self, org: str) -> int:
        """Return how many workers the org has now."""
        return self.plan_and_workers(org)[1]

    def plan_and_workers(self, org: str) -> tuple[Plan, int]:
        """Return both of one moment."""
        item = self._table.get(keys.org(org)) or {}
        plan = Plan(**json.loads(str(item["plan"]))) if "plan" in item else Plan()
        return plan, int(item.get("workers", 0))

    def reservation(self, org: str, count: int) -> tuple[Update, str]:
        """Return the change that counts ``count`` workers more, or fewer where it is negative.

        Its condition holds while the plan allows so many; the sentence says that it does not.

        Raises:
            PlanLimitError: the plan never allows so many at once.
        """
        key = keys.org(org)
        if count < 0:
            return Update(key, add={"workers": count}), ""
        plan = self.plan(org)
        room = plan.max_workers - count
        sentence = (
            f"the plan {plan.name!r} of {org} allows {plan.max_workers} workers at once; wait for "
            "one to end, or have the plan changed"
        )
        if room < 0:  # also where the org has no worker yet
            raise PlanLimitError(sentence)
        where = "attribute_not_exists(#workers) OR #workers <= :room"
        return Update(key, add={"workers": count}, where=where, values={":room": room}), sentence

    def add_usage(
        self,
        org: str,
        month: str,
        key: str,
        seconds: float,
        cpu: float,
        *,
        whose: Spender | None = None,
    ) -> None:
        """Count a worker's or an Exec's seconds once."""
        note = {"expires": int(self._clock()) + METERED_SECONDS}
        more = {"exec_seconds": seconds, "cpu_seconds": seconds * cpu}
        operations = [
            self._table.put_operation(keys.metered(org, month, key), note, new=True),
            self._table.update_operation(Update(keys.usage(org, month), add=more)),
        ]
        if whose is not None:
            spent = Update(
                keys.spent(org, month, whose.pipeline_id),
                set={"title": whose.title},
                add={
                    "attempts": 1,
                    "seconds": seconds,
                    "cpu_seconds": seconds * cpu,
                    "dollars": whose.dollars,
                },
            )
            operations.append(self._table.update_operation(spent))
        try:
            self._table.transact(operations)
        except Exception as error:
            if code_of(error) != _CANCELLED:
                raise
            if not self._is_metered(org, month, key):
                raise ThrottledError(
                    f"DynamoDB asks to write later: {', '.join(reasons_of(error))}"
                ) from error

    def spent(self, org: str, month: str) -> Sequence[PipelineSpent]:
        """Return what each pipeline took in a month, without its nodes."""
        first = keys.spent(org, month, "")
        return [
            PipelineSpent(
                id=sort.removeprefix(first.sort),
                title=str(item["title"]),
                month=month,
                **{name: item[name] for name in Spent.model_fields},
            )
            for sort, item in self._table.range(first.partition, first.sort, first.sort + keys.LAST)
        ]

    def _is_metered(self, org: str, month: str, key: str) -> bool:
        return self._table.get(keys.metered(org, month, key)) is not None

    def usage(self, org: str, month: str) -> Mapping[str, float]:
        """Return ``{"exec_seconds": …, "cpu_seconds": …}`` of a month."""
        item = self._table.get(keys.usage(org, month)) or {}
        return {name: float(item.get(name, 0.0)) for name in ("exec_seconds", "cpu_seconds")}
