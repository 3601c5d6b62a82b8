"""Organisations: their plans, workers and usage."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import DynamoTable, Item, Update, Value
from chalicelib.aws.errors import TransactionCancelledError
from chalicelib.aws.table_keys import Key
from chalicelib.errors import ConflictError, PlanLimitError, ThrottledError
from chalicelib.people.port import InUse, Measured, Share, Spender, VerifiedPerson
from conducto_core.billing.model import PipelineSpent, Spent
from conducto_core.billing.rules import (
    FREE,
    GRACE_MINUTES,
    Billing,
    BillingPlan,
    Remedies,
    Status,
    Stored,
)
from conducto_core.run.model.records import Wait
from conducto_core.run.rules import waits

#: Seconds for which metered keys are kept: longer than any report can be repeated.
METERED_SECONDS = 60 * 86_400
_SIZES = ("objects", "files", "records")


class TableOrgs:
    """Organisations and their plans.

    Args:
        table: The table.
        clock: Seconds since the epoch.
        first: The default plan.
        remedies: Returns how limits are lifted, for messages.
    """

    def __init__(
        self,
        table: DynamoTable,
        clock: Callable[[], float],
        *,
        first: BillingPlan = FREE,
        remedies: Callable[[], Remedies] = Remedies,
    ) -> None:
        self._table = table
        self._clock = clock
        self._first = first
        self._remedies = remedies

    def plan(self, org: str) -> BillingPlan:
        """Return an organisation's effective plan."""
        return self.in_use(org).plan

    def set_plan(self, org: str, plan: BillingPlan) -> None:
        """Set an organisation's plan; a subscription allows at least the plan ``scale``."""
        self._table.update(Update(table_keys.org(org), set={"plan": json.dumps(asdict(plan))}))

    def set_billing(self, org: str, billing: Billing, accrued: float, *, fetched: float) -> None:
        """Set the part of a subscription that gates workers, unless a later one is stored.

        Args:
            org: The organisation.
            billing: Its subscription; the spend limit stays as it is.
            accrued: Dollars of the billing period; they are set once per period.
            fetched: When the subscription was fetched.
        """
        facts: dict[str, Value] = {
            "since": billing.since,
            "started": billing.started,
            "fetched": fetched,
        }
        if billing.status is not None:
            facts["subscription"] = billing.status.value
        remove: tuple[str, ...] = ()
        if billing.grace_until is None:
            remove = ("grace_until",)
        else:
            facts["grace_until"] = billing.grace_until
        newer = "(attribute_not_exists(fetched) OR fetched < :fetched)"
        begins = "(attribute_not_exists(accrued_from) OR accrued_from <> :accrued_from)"
        amount: dict[str, Value] = {"accrued": accrued, "accrued_from": billing.period}
        key = table_keys.org(org)
        start = Update(key, set={**facts, **amount}, remove=remove, where=f"{newer} AND {begins}")
        # Charges add to the amount of the current period at any time: it is set once.
        for update in (start, Update(key, set=facts, remove=remove, where=newer[1:-1])):
            with suppress(ConflictError):
                self._table.update(update)
                return

    def set_limit(self, org: str, limit: float | None, grace_minutes: float) -> None:
        """Set the maximum dollars of a billing period, and the minutes that commands get then."""
        facts: dict[str, Value] = {"grace_minutes": grace_minutes, "limit_set": self._clock()}
        if limit is None:
            update = Update(table_keys.org(org), set=facts, remove=("spend_limit",))
        else:
            update = Update(table_keys.org(org), set={**facts, "spend_limit": limit})
        self._table.update(update)

    def workers(self, org: str) -> int:
        """Return the number of workers that the organisation has now."""
        return self.in_use(org).workers

    def in_use(self, org: str) -> InUse:
        """Return the plan and its use in one read."""
        item = self._table.get(table_keys.org(org)) or {}
        plan = BillingPlan(**json.loads(str(item["plan"]))) if "plan" in item else self._first
        numbers = (int(item.get("workers", 0)), int(item.get("reserved", 0)))
        accrued = float(item.get("accrued", 0.0))
        return InUse.for_org(plan, _billing(item), accrued, *numbers, self._clock())

    def shares(self, org: str) -> Mapping[str, Share]:
        """Return ``{pipeline id: share}`` of the pipelines that have one (a consistent read)."""
        return {
            pipeline_id: Share(**{name: item[name] for name in Share.model_fields if name in item})
            for pipeline_id, item in self._table.below(table_keys.share(org, ""))
        }

    def share_operation(self, org: str, pipeline_id: str, share: Share) -> Mapping[str, Any]:
        """Return the operation that writes a pipeline's share; an empty share has no item."""
        key = table_keys.share(org, pipeline_id)
        if share == Share():
            return self._table.delete_operation(key)
        return self._table.put_operation(key, share.model_dump(exclude_none=True))

    def reservation(
        self, org: str, workers: int, reserved: int = 0, *, admits: bool = False
    ) -> tuple[Update, Wait]:
        """Return the update of the counts of workers and reserved workers, and a reason to wait.

        The condition of the update is that the plan allows the new counts; the reason is for its
        failure.

        Args:
            org: The organisation.
            workers: Number of workers to add; a negative number needs no condition.
            reserved: Number of reserved workers to add.
            admits: Whether ``reserved`` needs a condition, too.

        Raises:
            PlanLimitError: The plan never allows that many.
        """
        key, add = table_keys.org(org), {"workers": workers, "reserved": reserved}
        bound = {"workers": workers} if workers > 0 else {}
        if admits and reserved > 0:
            bound["reserved"] = reserved
        if not bound:
            return Update(key, add=add), waits.NEXT
        used = self.in_use(org)
        plan = used.plan
        if used.suspended:
            raise PlanLimitError(waits.spend_limit(used.billing.limit, self._remedies()))
        wait = waits.plan_workers(plan, 0, f"or {self._remedies().larger_plan()}")
        room = {name: plan.max_workers - more for name, more in bound.items()}
        if min(room.values()) < 0:  # even if the organisation has no worker yet
            raise PlanLimitError(wait)
        bounds = [f"attribute_not_exists(#{name}) OR #{name} <= :room_{name}" for name in room]
        # DynamoDB rejects redundant parentheses.
        where = bounds[0] if len(bounds) == 1 else " AND ".join(f"({each})" for each in bounds)
        values: dict[str, Value] = {f":room_{name}": maximum for name, maximum in room.items()}
        if used.paying and used.billing.limit is not None:  # it may be reached meanwhile
            where = f"({where}) AND (attribute_not_exists(accrued) OR accrued < :limit)"
            values[":limit"] = used.billing.limit
        return Update(key, add=add, where=where, values=values), wait

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
        """Meter the seconds of a worker or an Exec once; ``key`` identifies them.

        Usage with a spender also counts in the pipeline's monthly sums, which outlive the pipeline.

        Raises:
            ThrottledError: Concurrent writers; retry.
        """
        note = {"expires": int(self._clock()) + METERED_SECONDS}
        more = {"exec_seconds": seconds, "cpu_seconds": seconds * cpu}
        # Simultaneous transactions on one item conflict, so that the usage has parts.
        part = table_keys.part_of(key)
        operations = [
            self._table.put_operation(table_keys.metered(org, month, key), note, new=True),
            self._table.update_operation(Update(table_keys.usage(org, month, part), add=more)),
        ]
        if whose is not None:
            add = {
                "attempts": whose.attempts,
                "seconds": seconds,
                "cpu_seconds": seconds * cpu,
                "dollars": whose.dollars,
            }
            operations.append(self._table.update_operation(_spending(org, month, whose, add)))
        try:
            self._table.transact(operations)
        except TransactionCancelledError as error:
            if not self._is_metered(org, month, key):
                raise ThrottledError(f"DynamoDB throttled the write: {error}") from error

    def spent(self, org: str, month: str) -> Sequence[PipelineSpent]:
        """Return the usage of each pipeline in a month, without its nodes."""
        parts = [table_keys.usage(org, month, part).partition for part in range(table_keys.PARTS)]
        return [
            _spent(pipeline_id, month, item)
            for partition in parts
            for pipeline_id, item in self._table.below(Key(partition, "P#"))
        ]

    def spent_by(self, org: str, month: str, pipeline_id: str) -> PipelineSpent | None:
        """Return the usage of one pipeline in a month, or None."""
        item = self._table.get(table_keys.spent(org, month, pipeline_id))
        return None if item is None else _spent(pipeline_id, month, item)

    def measured(self, pipeline_id: str) -> Measured | None:
        """Return the last measurement of what a pipeline stores, or None."""
        item = self._table.get(table_keys.measured(pipeline_id))
        if item is None:
            return None
        sizes = {name: int(item[name]) for name in _SIZES}
        return Measured(float(item["time"]), Stored(**sizes))

    def measured_last(self) -> tuple[str, str]:
        """Return ``(org, pipeline id)`` of the last `note_measured`; empty strings: none."""
        item = self._table.get(table_keys.measured_last()) or {}
        return str(item.get("org", "")), str(item.get("pipeline", ""))

    def note_measured(self, org: str, pipeline_id: str) -> None:
        """Record how far the daily measurement of storage has come, in the order of these pairs."""
        self._table.put(table_keys.measured_last(), {"org": org, "pipeline": pipeline_id})

    def add_storage(
        self,
        org: str,
        whose: Spender,
        before: Measured | None,
        now: Measured,
        dollars: Mapping[str, float],
    ) -> None:
        """Replace a pipeline's measurement, and add ``{month: dollars}`` to its monthly sums.

        Raises:
            ConflictError: ``before`` is not the last measurement.
            ThrottledError: DynamoDB stays busy.
        """
        sizes = {name: getattr(now.stored, name) for name in _SIZES}
        first = before is None
        measured = Update(
            table_keys.measured(whose.pipeline_id),
            set={"time": now.time, **sizes},
            where="attribute_not_exists(#time)" if first else "#time = :before",
            values={} if before is None else {":before": before.time},
        )
        sums = [
            _spending(org, month, whose, {"storage_dollars": each})
            for month, each in dollars.items()
        ]
        # Usage is added to the same sums; a conflict with that is no other measurement.
        writes = [self._table.update_operation(each) for each in (measured, *sums)]
        if self._table.try_transact(writes):
            raise ConflictError(f"{whose.pipeline_id} was measured meanwhile")

    def _is_metered(self, org: str, month: str, key: str) -> bool:
        return self._table.get(table_keys.metered(org, month, key)) is not None

    def usage(self, org: str, month: str) -> Mapping[str, float]:
        """Return ``{"exec_seconds": …, "cpu_seconds": …}`` of a month, e.g. ``2026-11``."""
        found = {"exec_seconds": 0.0, "cpu_seconds": 0.0}
        for part in range(table_keys.PARTS):
            item = self._table.get(table_keys.usage(org, month, part)) or {}
            for name in found:
                found[name] += float(item.get(name, 0.0))
        return found


def _spending(org: str, month: str, whose: Spender, add: Mapping[str, float]) -> Update:
    """Return the update of a pipeline's sums of a month."""
    known = {"program": whose.program, "function": whose.function}
    names = {name: value for name, value in known.items() if value is not None}
    key = table_keys.spent(org, month, whose.pipeline_id)
    return Update(key, set={"title": whose.title, **names}, add=add)


def _spent(pipeline_id: str, month: str, item: Item) -> PipelineSpent:
    names = ("program", "function", "storage_dollars", *Spent.model_fields)
    known = {name: item[name] for name in names if name in item}
    return PipelineSpent(id=pipeline_id, title=str(item["title"]), month=month, **known)


def _billing(item: Item) -> Billing:
    """Return the subscription of an organisation's item."""
    numbers = {
        name: None if attribute not in item else float(item[attribute])
        for name, attribute in (("grace_until", "grace_until"), ("limit", "spend_limit"))
    }
    return Billing(
        status=Status(str(item["subscription"])) if "subscription" in item else None,
        since=float(item.get("since", 0.0)),
        started=float(item.get("started", item.get("since", 0.0))),
        period=float(item.get("accrued_from", 0.0)),
        limit_set=float(item.get("limit_set", 0.0)),
        grace_minutes=float(item.get("grace_minutes", GRACE_MINUTES)),
        **numbers,
    )


# ----------------------------------------------------------------------------------------
# People at identity providers: their users in organisations, and the ID tokens that they used.


class TableIdentities:
    """The memberships of people at identity providers, which `TablePeople` writes."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def memberships(self, person: VerifiedPerson) -> Mapping[str, str]:
        """Return ``{organisation: user id}`` of a person, by organisation."""
        found = self._table.below(table_keys.person(person.issuer, person.subject, ""))
        return {org: str(item["user"]) for org, item in found}

    def unlink(self, issuer: str, subject: str, org: str) -> None:
        """Delete a person's membership of an organisation, if there is one."""
        self._table.delete(table_keys.person(issuer, subject, org))

    def consume(self, digest: str, expires: float) -> bool:
        """Mark an ID token as used; return True for exactly one of concurrent callers."""
        # One second more, because DynamoDB deletes expired items by whole seconds.
        return self._table.put_if(table_keys.used(digest), {"expires": int(expires) + 1})
