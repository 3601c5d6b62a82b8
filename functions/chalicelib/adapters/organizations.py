"""Organisations, their plans, the workers they have and what they use."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from chalicelib.adapters import table_keys
from chalicelib.adapters.aws_errors import TransactionCancelledError
from chalicelib.adapters.dynamodb import DynamoTable, Update
from chalicelib.ports import FREE, InUse, Plan, PlanLimitError, Share, Spender, ThrottledError
from conducto_core.model.usage import PipelineSpent, Spent

#: Seconds for which it is known what was counted: longer than anything comes twice.
METERED_SECONDS = 60 * 86_400


class TableOrgs:
    """A `chalicelib.ports.Orgs`.

    Args:
        table: Where they are.
        clock: Seconds since the epoch.
        first: The plan of an org for which none was set.
    """

    def __init__(
        self, table: DynamoTable, clock: Callable[[], float], *, first: Plan = FREE
    ) -> None:
        self._table = table
        self._clock = clock
        self._first = first

    def plan(self, org: str) -> Plan:
        """Return an org's plan; the installation's first one where none was set."""
        return self.in_use(org).plan

    def set_plan(self, org: str, plan: Plan) -> None:
        """Change it; the workers that the org has stay counted."""
        self._table.update(Update(table_keys.org(org), set={"plan": json.dumps(asdict(plan))}))

    def workers(self, org: str) -> int:
        """Return how many workers the org has now."""
        return self.in_use(org).workers

    def in_use(self, org: str) -> InUse:
        """Return the plan and what is in use of it."""
        item = self._table.get(table_keys.org(org)) or {}
        plan = Plan(**json.loads(str(item["plan"]))) if "plan" in item else self._first
        return InUse(plan, int(item.get("workers", 0)), int(item.get("reserved", 0)))

    def shares(self, org: str) -> Mapping[str, Share]:
        """Return the shares of the org's pipelines."""
        first = table_keys.share(org, "")
        found = self._table.range(first.partition, first.sort, first.sort + table_keys.LAST)
        return {
            sort.removeprefix(first.sort): Share(
                workers=int(item["workers"]),
                reserved=int(item["reserved"]),
                waiting=float(item["waiting"]) if "waiting" in item else None,
            )
            for sort, item in found
        }

    def share_operation(self, org: str, pipeline_id: str, share: Share) -> Mapping[str, Any]:
        """Return the operation that writes a pipeline's share; one of nothing is no item."""
        key = table_keys.share(org, pipeline_id)
        if share == Share():
            return self._table.delete_operation(key)
        waiting = {} if share.waiting is None else {"waiting": share.waiting}
        counts = {"workers": share.workers, "reserved": share.reserved}
        return self._table.put_operation(key, {**counts, **waiting})

    def reservation(
        self, org: str, workers: int, reserved: int = 0, *, admits: bool = False
    ) -> tuple[Update, str]:
        """Return the change that counts workers and reserved ones more, or fewer.

        Its condition holds while the plan allows so many; the sentence says that it does not.

        Args:
            org: Whose.
            workers: To add to those it has; where that is negative, it needs no condition.
            reserved: To add to those that are reserved.
            admits: That needs a condition, too.

        Raises:
            PlanLimitError: the plan never allows so many at once.
        """
        key, add = table_keys.org(org), {"workers": workers, "reserved": reserved}
        bound = {"workers": workers} if workers > 0 else {}
        if admits and reserved > 0:
            bound["reserved"] = reserved
        if not bound:
            return Update(key, add=add), ""
        plan = self.plan(org)
        sentence = (
            f"the plan {plan.name!r} of {org} allows {plan.max_workers} workers at once; wait for "
            "one to end, or have the plan changed"
        )
        room = {name: plan.max_workers - more for name, more in bound.items()}
        if min(room.values()) < 0:  # also where the org has no worker yet
            raise PlanLimitError(sentence)
        bounds = [f"attribute_not_exists(#{name}) OR #{name} <= :room_{name}" for name in room]
        # DynamoDB refuses parentheses that are not needed.
        where = bounds[0] if len(bounds) == 1 else " AND ".join(f"({each})" for each in bounds)
        values = {f":room_{name}": maximum for name, maximum in room.items()}
        return Update(key, add=add, where=where, values=values), sentence

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
            self._table.put_operation(table_keys.metered(org, month, key), note, new=True),
            self._table.update_operation(Update(table_keys.usage(org, month), add=more)),
        ]
        if whose is not None:
            spent = Update(
                table_keys.spent(org, month, whose.pipeline_id),
                set={"title": whose.title},
                add={
                    "attempts": whose.attempts,
                    "seconds": seconds,
                    "cpu_seconds": seconds * cpu,
                    "dollars": whose.dollars,
                },
            )
            operations.append(self._table.update_operation(spent))
        try:
            self._table.transact(operations)
        except TransactionCancelledError as error:
            if not self._is_metered(org, month, key):
                raise ThrottledError(f"DynamoDB asks to write later: {error}") from error

    def spent(self, org: str, month: str) -> Sequence[PipelineSpent]:
        """Return what each pipeline took in a month, without its nodes."""
        first = table_keys.spent(org, month, "")
        return [
            PipelineSpent(
                id=sort.removeprefix(first.sort),
                title=str(item["title"]),
                month=month,
                **{name: item[name] for name in Spent.model_fields},
            )
            for sort, item in self._table.range(
                first.partition, first.sort, first.sort + table_keys.LAST
            )
        ]

    def _is_metered(self, org: str, month: str, key: str) -> bool:
        return self._table.get(table_keys.metered(org, month, key)) is not None

    def usage(self, org: str, month: str) -> Mapping[str, float]:
        """Return ``{"exec_seconds": …, "cpu_seconds": …}`` of a month."""
        item = self._table.get(table_keys.usage(org, month)) or {}
        return {name: float(item.get(name, 0.0)) for name in ("exec_seconds", "cpu_seconds")}
