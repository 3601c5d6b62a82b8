"""The operations on git triggers; webhooks reach only the cloud."""

from conducto_core.api.operation import AnyOperation, LinkClass, Permission, act, read, send
from conducto_core.run.model.params import NoParams
from conducto_core.triggers import model as g
from conducto_core.triggers import model as t

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


# ----------------------------------------------------------------------------------------
# The operations on the GitHub App of an organisation.


GET_GITHUB_APP = read(
    "get_github_app",
    "/github-app",
    NoParams,
    g.GithubAppView,
    "Return the GitHub App of the organisation.",
    link_class=LinkClass.NEVER,
)
START_GITHUB_APP = send(
    "start_github_app",
    "POST /github-app/start",
    NoParams,
    g.GithubAppRequest,
    g.GithubAppStart,
    Permission.MANAGE_ORGANISATION,
    "Return the form with which a browser creates the GitHub App of the organisation.",
    link_class=LinkClass.NEVER,
    private=True,
    kept=False,
)
FINISH_GITHUB_APP = send(
    "finish_github_app",
    "POST /github-app/finish",
    NoParams,
    g.GithubAppCode,
    g.GithubApp,
    Permission.MANAGE_ORGANISATION,
    "Exchange the code of a GitHub App that was created for its keys, and store them.",
    link_class=LinkClass.NEVER,
    private=True,
    kept=False,
)
DELETE_GITHUB_APP = act(
    "delete_github_app",
    "DELETE /github-app",
    NoParams,
    g.GithubAppView,
    Permission.MANAGE_ORGANISATION,
    "Forget the GitHub App and its keys; delete it at GitHub, too.",
    link_class=LinkClass.NEVER,
)

#: All operations of this module.
GITHUB_APP_OPERATIONS: tuple[AnyOperation, ...] = (
    GET_GITHUB_APP,
    START_GITHUB_APP,
    FINISH_GITHUB_APP,
    DELETE_GITHUB_APP,
)
