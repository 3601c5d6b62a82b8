"""The suspension of trusts, notification rules and triggers whose owner may not store them now.

A suspended trust gives no tokens, a suspended rule sends nothing, and a suspended trigger launches
nothing and lends no token. The owner's current permissions decide, so that no change of
a role or membership is missed. The tokens of a trust are revoked then, so it stays suspended.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TypeVar

from chalicelib.api.callers import permissions_of_tokens
from chalicelib.people.tokens import trust_digest
from chalicelib.records import Records
from conducto_core.notifications.model import NotificationRule
from conducto_core.people.model import OwnedKind, OwnedRecord, Trust
from conducto_core.people.rules import needed_to_keep, permissions_of
from conducto_core.triggers.model import Trigger

R = TypeVar("R", Trust, NotificationRule, Trigger)


class Suspensions:
    """The suspended records of an organisation; what it read about members is kept."""

    def __init__(self, records: Records, org: str) -> None:
        self._records = records
        self._org = org
        self._held: dict[tuple[str, frozenset[str]], bool] = {}

    @cached_property
    def _has_members(self) -> bool:
        return bool(self._records.people.members(self._org))

    def covers(self, record: Trust | NotificationRule | Trigger) -> bool:
        """Return whether a record is suspended; without members, none is."""
        if record.owner is None or not self._has_members:
            return False
        if not self._has(record.owner, needed_to_keep(record)):
            return True
        root = trust_digest(self._org, record.name)
        return isinstance(record, Trust) and self._records.tokens.find(root) is None

    def marked(self, records: Iterable[R]) -> list[R]:
        """Return records with their field ``suspended``."""
        return [one.model_copy(update={"suspended": self.covers(one)}) for one in records]

    def begin(self, user: str) -> tuple[OwnedRecord, ...]:
        """Return the suspended records of a user, after revoking the tokens of their trusts."""
        found = tuple(self._records_of(user))
        for record in found:
            if record.kind == "trust":
                self._records.tokens.revoke_once(trust_digest(self._org, record.name))
        return found

    def _records_of(self, user: str) -> Iterator[OwnedRecord]:
        kinds: dict[OwnedKind, Iterable[Trust | NotificationRule | Trigger]] = {
            "trust": self._records.trusts.list_by_name(self._org),
            "rule": self._records.rules.list_by_name(self._org),
            "trigger": self._records.triggers.list_by_name(self._org),
        }
        for kind, records in kinds.items():
            for record in records:
                if record.owner == user and self.covers(record):
                    yield OwnedRecord(kind=kind, name=record.name, owner=user)

    def _has(self, user: str, needed: frozenset[str]) -> bool:
        """Return whether a user has permissions, by the role or by a valid token without one."""
        if (user, needed) not in self._held:
            member = self._records.people.member(self._org, user)
            held = frozenset() if member is None else permissions_of(member.role)
            if not needed <= held:
                held |= permissions_of_tokens(self._records, self._org, user) or frozenset()
            self._held[user, needed] = needed <= held
        return self._held[user, needed]


def why_suspended(records: Records, org: str, trigger: Trigger) -> str | None:
    """Return why a trigger is suspended, with the remedy, or None."""
    if not Suspensions(records, org).covers(trigger):
        return None
    return (
        f"{trigger.name} is suspended: {trigger.owner} may not store it any more; an administrator "
        f"takes it over: conducto members take-over trigger {trigger.name}"
    )
