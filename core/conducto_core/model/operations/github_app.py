"""The operations on the GitHub App of an organisation."""

from conducto_core.model import github_app as g
from conducto_core.model.operations.operation import (
    AnyOperation,
    LinkClass,
    Permission,
    act,
    read,
    send,
)
from conducto_core.model.params import NoParams

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
