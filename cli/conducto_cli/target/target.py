"""The target of a command: this machine's agent, or a cloud installation.

In this order: ``--local`` or ``--cloud``; the profile's ``[general] target``; the target that
knows the pipeline's id, this machine first. Without a login it is always this machine.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Literal

from conducto.api import paths
from conducto.api.config import Config
from conducto.errors import UsageError
from conducto.wire.printable import suggestion
from conducto_cli.app.arguments import SHORTCUTS
from conducto_cli.app.exit import USAGE
from conducto_cli.app.registry import COMMANDS
from conducto_cli.target.account import SignedInAccount, account_of, needed_account, profile_named
from conducto_cli.target.connection import (
    LocalAgent,
    OpenClient,
    client_opener,
    exit_code_of,
    message_of,
)
from conducto_cli.target.lookup import UnknownPipelineError, matching, newest, only_one
from conducto_client import AgentUnreachableError, ClientError
from conducto_client.agents import PREFIX
from conducto_core.run.model.params import ListParams
from conducto_core.run.model.requests import PipelineSummary

Target = Literal["local", "cloud"]
#: Seconds to wait for each response of the cloud if no option selects the cloud.
_TIMEOUT = 10.0


def opener_for(arguments: argparse.Namespace) -> OpenClient:
    """Return the factory of a command's clients.

    Raises:
        UsageError: the target is the cloud and the profile is not logged in.
    """
    command = COMMANDS[arguments.verb]
    is_new = command.needs_pipelines and _is_new(arguments.profile)
    local = client_opener(arguments.profile, launching=command.needs_engine)
    if is_new:
        print(
            f"note: profile {arguments.profile!r} is new, so it has no pipelines; "
            "'conducto-profile list' lists profiles with a configuration",
            file=sys.stderr,
        )
    if not command.accepts_target:
        return local
    target = chosen(arguments.target, arguments.profile)
    if target == "cloud":
        return needed_account(arguments.profile).client
    account = account_of(arguments.profile)
    pipeline_id = _id_in(arguments)
    in_cloud = (command.prefers_cloud and pipeline_id is None) or (
        command.needs_pipelines and LocalAgent(arguments.profile).is_unused()
    )
    if target is None and account is not None and in_cloud:
        return account.client
    if target == "local" or account is None or pipeline_id is None:
        return local
    if pipeline_id.startswith(PREFIX):
        return account.client
    return account.client if is_in_cloud(pipeline_id, local, probe(account)) else local


def _is_new(profile: str | None) -> bool:
    """Return whether a profile that an option names has no directory; it may be mistyped."""
    if profile is None:
        return False
    try:
        return not Path(paths.profile_dir(profile)).exists()
    except ValueError:  # an invalid name, which is refused when the profile is opened
        return False


def second_opener(arguments: argparse.Namespace) -> OpenClient | None:
    """Return the factory of cloud clients for a command that reads both targets.

    None if the options or the profile select one target, the profile is not logged in, or it has
    no pipelines on this machine: `opener_for` then returns the cloud, and no agent starts.
    """
    account = account_of(arguments.profile)
    if account is None or chosen(arguments.target, arguments.profile) is not None:
        return None
    return None if LocalAgent(arguments.profile).is_unused() else probe(account)


def chosen(target: str | None, profile: str | None) -> Target | None:
    """Return the target that an option or the profile selects.

    Raises:
        UsageError: the profile's target is invalid.
    """
    if target is None:
        general = Config.get_profile_config(profile_named(profile))
        target = general.get("general", "target", fallback=None)
    if target not in (None, "local", "cloud"):
        raise UsageError(f"the profile's [general] target is {target!r}; it can be local or cloud")
    return "local" if target == "local" else "cloud" if target == "cloud" else None


def _id_in(arguments: argparse.Namespace) -> str | None:
    """Return the reference to a pipeline on the command line, or None."""
    found = getattr(arguments, "id", None)
    words = getattr(arguments, "words", ())
    if found is None and words and not getattr(arguments, "user", False):
        found = words[0]  # of 'conducto data'
    return found


def probe(account: SignedInAccount) -> OpenClient:
    """Return the factory of clients that look for a pipeline without waiting for long."""
    return partial(account.client, timeout=_TIMEOUT)


def is_in_cloud(reference: str, local: OpenClient, cloud: OpenClient) -> bool:
    """Return whether a reference means a pipeline of the cloud, and not one of this machine.

    This machine is searched first for an id. ``@last`` and ``@failed`` mean the newest of both
    targets, and a title must be unique in both; while one cannot be reached, the other decides.

    Raises:
        UnknownPipelineError: neither target knows it.
        UsageError: both have a pipeline with this title.
        AgentUnreachableError: one target does not know it and the other cannot be reached.
    """
    near: list[str] = []
    found: list[list[PipelineSummary]] = []
    not_in: list[str] = []
    unreachable: list[str] = []
    for where, open_client in (("on this machine", local), ("in the cloud", cloud)):
        here: list[PipelineSummary] = []
        try:
            with open_client() as client:
                here = matching(client, reference)
                if any(each.pipeline.id.startswith(reference) for each in here) and not any(found):
                    return open_client is cloud
                near += (each.pipeline.id for each in client.list_page(ListParams()).pipelines)
        except ClientError as error:
            if exit_code_of(error) == USAGE:
                raise  # the id is invalid or ambiguous
            unreachable.append(f"it was not looked for {where}: {message_of(error)}")
        else:
            not_in.append(where)
        found.append(here)
    if any(found):
        for line in unreachable:
            print(f"conducto: {reference}: {line}", file=sys.stderr)
        return _is_second(reference, *found)
    missing = f"no pipeline {reference!r} {' or '.join(not_in)}".rstrip()
    if not unreachable:
        raise UnknownPipelineError(f"{missing}{suggestion(reference, near)}")
    raise AgentUnreachableError("\n".join([missing, *unreachable] if not_in else unreachable))


def _is_second(reference: str, first: list[PipelineSummary], second: list[PipelineSummary]) -> bool:
    """Return whether a reference means a pipeline of the second target.

    Raises:
        UsageError: a title is in both.
    """
    if reference in SHORTCUTS:
        return newest([*first, *second]) != first
    if first and second:
        only_one(reference, [*first, *second])
    return bool(second)
