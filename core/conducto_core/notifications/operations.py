"""The operations on the rules that send notifications; both targets have them.

The rules of a machine are stored on the machine only: they send what its pipelines report.
"""

from conducto_core.api.operation import LinkClass, Permission, act, read, send
from conducto_core.notifications.model import (
    NotificationRule,
    RuleList,
    RuleParams,
    RuleRequest,
    RuleTest,
)
from conducto_core.run.model.params import NoParams

LIST_RULES = read(
    "list_notification_rules",
    "/notification-rules",
    NoParams,
    RuleList,
    "List the rules that send notifications.",
    link_class=LinkClass.READ,
)
PUT_RULE = send(
    "put_notification_rule",
    "PUT /notification-rules/{name}",
    RuleParams,
    RuleRequest,
    NotificationRule,
    Permission.MANAGE_ORGANISATION,
    "Store a rule that sends notifications about pipelines that are launched from now on.",
    link_class=LinkClass.NEVER,
)
DELETE_RULE = act(
    "delete_notification_rule",
    "DELETE /notification-rules/{name}",
    RuleParams,
    NotificationRule,
    Permission.MANAGE_ORGANISATION,
    "Delete a rule; it sends no further notifications.",
    link_class=LinkClass.NEVER,
)
TEST_RULE = act(
    "test_notification_rule",
    "POST /notification-rules/{name}/test",
    RuleParams,
    RuleTest,
    Permission.MANAGE_ORGANISATION,
    "Send a test message by the channel of a rule, and return whether it was accepted.",
    link_class=LinkClass.NEVER,
    kept=False,
)
