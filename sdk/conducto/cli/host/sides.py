"""On which side a command acts: this machine's agent, or a cloud installation.

In this order: ``--local`` or ``--cloud``; the profile's ``[general] side``; where the pipeline's
id is known, this machine first. Who is not logged in never leaves this machine.
"""

import argparse
from typing import Literal

from conducto.api.config import Config
from conducto.cli.host.addresses import UsageError
from conducto.cli.host.cloud_account import account_of, needed_account, profile_named
from conducto.cli.host.connection import OpenClient, client_opener
from conducto.client import AgentUnreachableError, ApiError, Client

Side = Literal["local", "cloud"]
_NOT_FOUND = 404
#: Verbs that are about this machine only.
_LOCAL_VERBS = frozenset({"gc"})
#: Verbs that are about the cloud where somebody is logged in: money is spent there.
_CLOUD_VERBS = frozenset({"usage"})


def opener_for(arguments: argparse.Namespace) -> OpenClient:
    """Return what makes clients for a command.

    Raises:
        UsageError: the cloud is asked for and the profile is not logged in, or the command has
            no meaning there.
    """
    local = client_opener(arguments.profile)
    side = _chosen(arguments)
    if side == "cloud":
        if arguments.verb in _LOCAL_VERBS:
            raise UsageError(f"{arguments.verb} is about this machine; leave out --cloud")
        return needed_account(arguments.profile).client
    account = account_of(arguments.profile)
    if side is None and account is not None and arguments.verb in _CLOUD_VERBS:
        return account.client
    pipeline_id = _id_in(arguments)
    if side == "local" or account is None or pipeline_id is None:
        return local
    return _where_known(pipeline_id, local, account.client)


def opener_beside(arguments: argparse.Namespace) -> OpenClient | None:
    """Return what makes clients of the cloud for a command that is about both sides.

    None where the command, or the profile, is about one side, or nobody is logged in.
    """
    account = account_of(arguments.profile)
    return account.client if account is not None and _chosen(arguments) is None else None


def _chosen(arguments: argparse.Namespace) -> Side | None:
    side = arguments.side
    if side is None and arguments.verb not in _LOCAL_VERBS:
        general = Config.get_profile_config(profile_named(arguments.profile))
        side = general.get("general", "side", fallback=None)
    if side not in (None, "local", "cloud"):
        raise UsageError(f"the profile's [general] side is {side!r}; it can be local or cloud")
    return "local" if side == "local" else "cloud" if side == "cloud" else None


def _id_in(arguments: argparse.Namespace) -> str | None:
    """Return the pipeline's id on the command line, if there is one."""
    found = getattr(arguments, "id", None)
    words = getattr(arguments, "words", ())
    if found is None and words and not getattr(arguments, "user", False):
        found = words[0]  # of 'conducto data'
    return found


def _where_known(pipeline_id: str, local: OpenClient, cloud: OpenClient) -> OpenClient:
    """Return the side that knows a pipeline; this machine's where neither does."""
    try:
        with local() as client:
            if _knows(client, pipeline_id):
                return local
    except AgentUnreachableError:
        return cloud
    with cloud() as client:
        return cloud if _knows(client, pipeline_id) else local


def _knows(client: Client, pipeline_id: str) -> bool:
    try:
        client.get(pipeline_id)
    except ApiError as error:
        if error.status != _NOT_FOUND:
            raise
        return False
    return True
