"""The operations on usage, and on an organisation's subscription, which only the cloud has."""

from conducto_core.api.operation import AnyOperation, LinkClass, Permission, act, read, send
from conducto_core.billing.model import (
    BillingPage,
    BillingStatus,
    CostParams,
    PipelineCost,
    SpendLimit,
    Usage,
    UsageParams,
)
from conducto_core.run.model.params import NoParams

GET_BILLING = read(
    "get_billing",
    "/billing",
    NoParams,
    BillingStatus,
    "Return the plan, the usage and the spend limit of the organisation.",
    link_class=LinkClass.NEVER,
    permission=Permission.MANAGE_BILLING,
)
CHECKOUT = act(
    "start_checkout",
    "POST /billing/checkout",
    NoParams,
    BillingPage,
    Permission.MANAGE_BILLING,
    "Return the page on which the organisation subscribes.",
    link_class=LinkClass.NEVER,
    kept=False,
)
PORTAL = act(
    "open_billing_portal",
    "POST /billing/portal",
    NoParams,
    BillingPage,
    Permission.MANAGE_BILLING,
    "Return the page with invoices and payment methods.",
    link_class=LinkClass.NEVER,
    kept=False,
)
SET_LIMIT = send(
    "set_spend_limit",
    "PUT /billing/limit",
    NoParams,
    SpendLimit,
    BillingStatus,
    Permission.MANAGE_BILLING,
    "Set the maximum dollars of a billing period.",
    link_class=LinkClass.NEVER,
    kept=False,
)

#: All operations of this module.
USAGE = read(
    "get_usage",
    "/usage",
    UsageParams,
    Usage,
    "Return the usage and cost of commands, by month, pipeline and node.",
    link_class=LinkClass.READ,
)
COST = read(
    "get_cost",
    "/pipelines/{id}/cost",
    CostParams,
    PipelineCost,
    "Return the cost of a pipeline since its launch, by node and by kind of cost.",
    link_class=LinkClass.READ,
)

BILLING_OPERATIONS: tuple[AnyOperation, ...] = (GET_BILLING, CHECKOUT, PORTAL, SET_LIMIT)
