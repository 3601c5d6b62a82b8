"""The operations on the rules that send notifications, the same for every target."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

from conducto.integrations.http import DeliveryError
from conducto_core.api.serve import serves
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.notifications import operations as notifications_operations
from conducto_core.notifications.messages import example_message
from conducto_core.notifications.model import (
    MAX_RULES,
    NotificationChannel,
    NotificationRecord,
    NotificationRule,
    RuleList,
    RuleParams,
    RuleRequest,
    RuleTest,
)

# ----------------------------------------------------------------------------------------
# The store of the rules that send notifications.


class RuleStore(Protocol):
    """The rules of one organisation, or of one machine."""

    def all(self) -> Sequence[NotificationRule]:
        """Return the rules, by name."""

    def put(self, rule: NotificationRule) -> None:
        """Store a rule, replacing one of the same name."""

    def delete(self, name: str) -> bool:
        """Delete a rule; return whether there was one."""


class NotificationRules(ABC):
    """The rules of one organisation, or of one machine."""

    @abstractmethod
    def rule_store(self) -> RuleStore:
        """Return the store of the rules."""

    @serves(notifications_operations.LIST_RULES)
    async def list_notification_rules(self) -> RuleList:
        return RuleList(rules=tuple(await asyncio.to_thread(self.rule_store().all)))

    @serves(notifications_operations.PUT_RULE)
    async def put_notification_rule(
        self, params: RuleParams, request: RuleRequest
    ) -> NotificationRule:
        rule = NotificationRule(name=params.name, **dict(request))
        return await asyncio.to_thread(self._put_rule, rule)

    def _put_rule(self, rule: NotificationRule) -> NotificationRule:
        store = self.rule_store()
        others = [other for other in store.all() if other.name != rule.name]
        if len(others) >= MAX_RULES:
            raise RefusedError(f"there are {MAX_RULES} rules already; delete one first")
        store.put(rule)
        return self._rule(rule.name)

    @abstractmethod
    async def deliver_now(self, message: NotificationRecord) -> DeliveryError | None:
        """Send a message with the current settings and secrets.

        Returns:
            The error, without values of secrets, or None.
        """

    @serves(notifications_operations.TEST_RULE)
    async def test_notification_rule(self, params: RuleParams) -> RuleTest:
        rule = await asyncio.to_thread(self._rule, params.name)
        if rule.channel is NotificationChannel.GITHUB:
            raise RefusedError("a status needs the commit of a pipeline; push one to try the rule")
        error = await self.deliver_now(example_message(rule))
        return RuleTest(error=None if error is None else str(error))

    @serves(notifications_operations.DELETE_RULE)
    async def delete_notification_rule(self, params: RuleParams) -> NotificationRule:
        return await asyncio.to_thread(self._delete_rule, params.name)

    def _delete_rule(self, name: str) -> NotificationRule:
        rule = self._rule(name)
        if not self.rule_store().delete(name):
            raise _unknown(name)
        return rule

    def _rule(self, name: str) -> NotificationRule:
        rule = next((rule for rule in self.rule_store().all() if rule.name == name), None)
        if rule is None:
            raise _unknown(name)
        return rule


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(
        f"there is no notification rule {name!r}; list them with 'conducto notify list'"
    )
