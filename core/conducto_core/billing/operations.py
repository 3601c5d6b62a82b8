"""The operations on an organisation's subscription; only the cloud's API has them."""

from conducto_core.api.operation import AnyOperation, LinkClass, Permission, act, read, send
from conducto_core.billing.model import BillingPage, BillingStatus, SpendLimit
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
BILLING_OPERATIONS: tuple[AnyOperation, ...] = (GET_BILLING, CHECKOUT, PORTAL, SET_LIMIT)
