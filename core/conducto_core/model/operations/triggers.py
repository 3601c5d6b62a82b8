"""The operations on git triggers; webhooks reach only the cloud."""

from conducto_core.model import triggers as t
from conducto_core.model.operations.operation import (
    AnyOperation,
    LinkClass,
    Permission,
    act,
    read,
    send,
)
from conducto_core.model.params import NoParams

LIST_TRIGGERS = read(
    "list_triggers",
    "/triggers",
    NoParams,
    t.TriggerList,
    "List the git triggers of the organisation.",
    link_class=LinkClass.NEVER,
)
PUT_TRIGGER = send(
    "put_trigger",
    "PUT /triggers/{name}",
    t.TriggerParams,
    t.TriggerRequest,
    t.NewTrigger,
    Permission.LAUNCH,
    "Store a git trigger, with a new secret for its webhook; the caller becomes its owner.",
    link_class=LinkClass.NEVER,
    private=True,
    kept=False,
)
DELETE_TRIGGER = act(
    "delete_trigger",
    "DELETE /triggers/{name}",
    t.TriggerParams,
    t.TriggerList,
    Permission.LAUNCH,
    "Delete a git trigger; its webhook is rejected from now on.",
    link_class=LinkClass.NEVER,
)
LIST_DELIVERIES = read(
    "list_deliveries",
    "/triggers/{name}/deliveries",
    t.TriggerParams,
    t.DeliveryList,
    "List the last webhooks that a trigger received, and what they did.",
    link_class=LinkClass.NEVER,
)
APPROVE_DELIVERY = act(
    "approve_delivery",
    "POST /triggers/{name}/deliveries/{delivery}/approve",
    t.DeliveryParams,
    t.Delivery,
    Permission.LAUNCH,
    "Launch a pull request from a fork, without secrets and user data.",
    link_class=LinkClass.NEVER,
)
TEST_TRIGGER = send(
    "test_trigger",
    "POST /triggers/{name}/test",
    t.TriggerParams,
    t.TriggerTrial,
    t.TrialResult,
    Permission.LAUNCH,
    "Return the section and the command that a push to a branch would launch; nothing is launched.",
    link_class=LinkClass.NEVER,
    kept=False,
)

#: All operations of this module.
TRIGGER_OPERATIONS: tuple[AnyOperation, ...] = (
    LIST_TRIGGERS,
    PUT_TRIGGER,
    DELETE_TRIGGER,
    LIST_DELIVERIES,
    APPROVE_DELIVERY,
    TEST_TRIGGER,
)
