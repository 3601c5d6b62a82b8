"""The link of this machine to an installation: ``conducto agent link``, ``unlink``, and its state.

Only commands on the machine change it: no operation of the API reads or writes the policy.
"""

import platform
import time
from collections.abc import Iterator
from dataclasses import replace

from conducto.errors import UsageError
from conducto_cli.target.account import SignedInAccount, checked, needed_account, profile_named
from conducto_client import AgentUnreachableError, ApiError
from conducto_client.transport.cloud import CloudClient
from conducto_core.api.operation import Permission
from conducto_core.people.model import MAX_TOKEN_DAYS, NewToken, TokenListParams, TokenParams
from conducto_core.people.operations import CREATE_TOKEN, LIST_TOKENS, REVOKE_TOKEN
from conducto_core.remote.model import LinkedAgentParams, LinkPolicy
from conducto_core.remote.operations import FORGET_AGENT
from conducto_core.run.model.params import NoParams
from conducto_local.agent.files import AgentFiles
from conducto_local.agent.state_dir import open_state_dir
from conducto_local.remote.policy import (
    LinkSettings,
    LinkSettingsError,
    new_agent_id,
    policy_of,
    read_settings,
    remove_settings,
    write_settings,
)
from conducto_local.remote.summaries import LinkFiles, LinkStatus

#: Seconds to wait for the first connection, and between two looks.
_CONNECT_SECONDS = 25.0
_LOOK_SECONDS = 0.1
#: States after which a new token is needed.
_UNUSABLE = ("rejected", "stopped")


def current_link(profile: str | None) -> LinkSettings | None:
    """Return the link of a profile, or None.

    Raises:
        UsageError: Its configuration is not valid.
    """
    try:
        return read_settings(profile_named(profile))
    except LinkSettingsError as error:
        raise UsageError(str(error)) from None


def link(profile: str | None, *, allow: str | None, who: str | None, new: bool) -> LinkSettings:
    """Link the machine, or change its policy, and return the link.

    Args:
        profile: The profile; None for the current one.
        allow: The allowed classes; None keeps those of an existing link.
        who: The people whose requests are accepted; None likewise.

    Raises:
        UsageError: A value is not valid, or the profile is not logged in.
    """
    account, name = needed_account(profile), profile_named(profile)
    before = existing_link(name)
    policy = _policy(before, allow, who)
    files = _files(profile)
    if before is not None and not new and _is_usable(before, account, files):
        made = replace(before, policy=policy)
    else:
        same = before is not None and before.url == account.url and not new
        agent = before.agent if before is not None and same else new_agent_id()
        made = _linked(account, agent, policy)
        files.forget()
        files.take_over()
    write_settings(name, made)
    return made


def existing_link(profile: str | None) -> LinkSettings | None:
    """Return the link of a profile, or None if there is none, or none that is valid."""
    try:
        return read_settings(profile_named(profile))
    except LinkSettingsError:
        return None  # linking the machine again is the remedy


def _policy(before: LinkSettings | None, allow: str | None, who: str | None) -> LinkPolicy:
    known = LinkPolicy() if before is None else before.policy
    try:
        return policy_of(allow or ",".join(known.allow), who or known.who)
    except LinkSettingsError as error:
        raise UsageError(f"--{error}") from None


def _is_usable(link: LinkSettings, account: SignedInAccount, files: LinkFiles) -> bool:
    """Return whether a link is that of the account, and its token is not known to be invalid."""
    status = files.read_status()
    same = (link.url, link.user, link.org) == (account.url, account.user, account.org)
    return same and (status is None or status.state not in _UNUSABLE)


def _linked(account: SignedInAccount, agent: str, policy: LinkPolicy) -> LinkSettings:
    """Create a token for the agent in place of earlier ones, and return the link with it."""
    request = checked(
        NewToken,
        name=f"agent {agent} on {platform.node()}"[:100],
        permissions=[Permission.AGENT],
        days=MAX_TOKEN_DAYS,
    )
    with account.client() as client:
        who, socket = client.who_am_i(), client.status().socket
        if not socket:
            raise UsageError(f"{account.url} is not an installation that agents can link to")
        _revoke(client, agent)
        token = client.call(CREATE_TOKEN, NoParams(), request).token
    return LinkSettings(
        agent=agent,
        url=account.url,
        socket=socket,
        org=who.org,
        user=who.user,
        token=token,
        policy=policy,
    )


def unlink(profile: str | None) -> str | None:
    """Remove the link; return a note for the user, or None if the machine was not linked.

    The token is revoked, if the installation can be reached.
    """
    name = profile_named(profile)
    found = existing_link(name)
    if not remove_settings(name):
        return None
    _files(profile).forget()
    if found is None:
        return "not linked any more"
    try:
        _forget(needed_account(profile), found)
    except (ApiError, AgentUnreachableError, UsageError) as error:
        return (
            f"not linked to {found.url} any more, but the agent's token was not revoked ({error}); "
            "revoke it: conducto tokens revoke TOKEN_ID"
        )
    return f"not linked to {found.url} any more"


def _forget(account: SignedInAccount, link: LinkSettings) -> None:
    """Revoke the agent's tokens, and remove it from the installation's lists."""
    if account.url != link.url:
        raise UsageError(f"the profile is logged in at {account.url}")
    with account.client() as client:
        _revoke(client, link.agent)
        client.call(FORGET_AGENT, LinkedAgentParams(id=link.agent), None)


def _revoke(client: CloudClient, agent: str) -> None:
    for token in client.call(LIST_TOKENS, TokenListParams(), None).tokens:
        if token.name.startswith(f"agent {agent} "):
            client.call(REVOKE_TOKEN, TokenParams(id=token.id), None)


def wait_until_connected(profile: str | None, since: float) -> LinkStatus | None:
    """Return the state of the link once it is known, or None after a timeout.

    Args:
        since: Time of the last change of the link; 0 if there was none.
    """
    deadline = time.monotonic() + _CONNECT_SECONDS
    while time.monotonic() < deadline:
        status = status_of(profile)
        if status is not None and status.since >= since and status.state != "connecting":
            return status
        time.sleep(_LOOK_SECONDS)
    return None


def status_of(profile: str | None) -> LinkStatus | None:
    """Return the state that the running agent wrote; None if it has not written any yet."""
    status = _files(profile).read_status()
    running = AgentFiles(open_state_dir(profile).agent).holder()
    return status if status is not None and status.pid == running else None


def described(link: LinkSettings, status: LinkStatus | None, *, running: bool) -> Iterator[str]:
    yield f"link: {_state(status, running=running)} to {link.url} as {link.user} of {link.org}"
    yield f"agent id: {link.agent}"
    people = f"{link.user} only" if link.policy.who == "me" else f"members of {link.org}"
    yield f"allowed through the link: {', '.join(link.policy.allow)}, for {people}"
    if status is not None and status.problem is not None and running:
        yield f"problem: {status.problem}"


def _state(status: LinkStatus | None, *, running: bool) -> str:
    if not running:
        return "not connected (no agent is running; start it with: conducto agent start)"
    if status is None:
        return "connecting"
    since = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(status.since))
    return f"{status.state} since {since}"


def as_document(link: LinkSettings | None, status: LinkStatus | None) -> object:
    """Return a link for ``--json``, without its token."""
    if link is None:
        return None
    known = {"state": "unknown"} if status is None else {"state": status.state}
    problem = None if status is None else status.problem
    return {
        "agent": link.agent,
        "url": link.url,
        "org": link.org,
        "user": link.user,
        "allow": list(link.policy.allow),
        "who": link.policy.who,
        **known,
        "problem": problem,
    }


def _files(profile: str | None) -> LinkFiles:
    try:
        return LinkFiles(open_state_dir(profile).agent)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
