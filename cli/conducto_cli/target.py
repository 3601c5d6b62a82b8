"""On which side a command acts: this machine's agent, or a cloud installation.

In this order: ``--local`` or ``--cloud``; the profile's ``[general] side``; where the pipeline's
id is known, this machine first. Who is not logged in never leaves this machine.
"""

import argparse
from collections.abc import Iterable
from functools import partial
from typing import Any, Literal

from conducto.api.config import Config
from conducto_cli.cloud_account import account_of, needed_account, profile_named
from conducto_cli.connection import OpenClient, client_opener, exit_code_of, message_of
from conducto_cli.exit_codes import USAGE
from conducto_cli.references import UsageError, suggestion
from conducto_client import AgentUnreachableError, ApiError, Client, ClientError
from conducto_core.model.params import ListParams

Side = Literal["local", "cloud"]
_NOT_FOUND = 404
#: Seconds to wait for each answer of the cloud where nobody said that it is about the cloud.
_TIMEOUT = 10.0
#: Verbs that are about this machine only.
_LOCAL_VERBS = frozenset({"gc"})
#: Verbs that may need the engine, so it matters whether the agent may use it.
_ENGINE_VERBS = frozenset({"run", "wake", "reset", "rebuild", "debug"})
#: Verbs that are about the cloud where somebody is logged in: money is spent there.
_CLOUD_VERBS = frozenset({"usage"})


def opener_for(arguments: argparse.Namespace) -> OpenClient:
    """Return what makes clients for a command.

    Raises:
        UsageError: the cloud is asked for and the profile is not logged in, or the command has
            no meaning there.
    """
    local = client_opener(arguments.profile, launching=arguments.verb in _ENGINE_VERBS)
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
    probe = partial(account.client, timeout=_TIMEOUT)
    return account.client if _is_in_cloud(pipeline_id, local, probe) else local


def opener_beside(arguments: argparse.Namespace) -> OpenClient | None:
    """Return what makes clients of the cloud for a command that is about both sides.

    None where the command, or the profile, is about one side, or nobody is logged in.
    """
    account = account_of(arguments.profile)
    if account is None or _chosen(arguments) is not None:
        return None
    return partial(account.client, timeout=_TIMEOUT)


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


def _is_in_cloud(pipeline_id: str, local: OpenClient, cloud: OpenClient) -> bool:
    """Return whether the cloud is where a pipeline is known; this machine is asked first.

    Raises:
        UsageError: neither side knows it.
        AgentUnreachableError: it is not known where one could ask, and one could not everywhere.
    """
    near: list[str] = []
    not_in: list[str] = []
    unasked: list[str] = []
    for where, side in (("on this machine", local), ("in the cloud", cloud)):
        try:
            with side() as client:
                if _knows(client, pipeline_id):
                    return side is cloud
                near += (each.pipeline.id for each in client.list_page(ListParams()).pipelines)
        except ClientError as error:
            if exit_code_of(error) == USAGE:
                raise  # the id makes no sense, or could be any of several
            unasked.append(f"it was not looked for {where}: {message_of(error)}")
        else:
            not_in.append(where)
    missing = f"no pipeline {pipeline_id!r} {' or '.join(not_in)}".rstrip()
    if not unasked:
        raise UsageError(f"{missing}{suggestion(pipeline_id, near)}")
    raise AgentUnreachableError("\n".join([missing, *unasked] if not_in else unasked))


def _knows(client: Client, pipeline_id: str) -> bool:
    try:
        client.get(pipeline_id)
    except ApiError as error:
        if error.status != _NOT_FOUND:
            raise
        return False
    return True


_Parser = argparse.ArgumentParser


#: An option that is not given leaves alone what was given before the verb.
_KEEP: Any = argparse.SUPPRESS


#: What is said to who gives a token as a word.
LOGIN_HINT = (
    "--token takes '-' only, and then reads the token from standard input: "
    "conducto login --url URL --token - <file; without it you are asked"
)


#: What ``--local`` and ``--cloud`` say of a pipeline.
OF_A_PIPELINE = "the pipeline is {} (default: wherever its ID is known, here first)"


def add_side(parser: _Parser, *, default: str | None = _KEEP, told: str = OF_A_PIPELINE) -> None:
    """Add the options that say on which side a pipeline is, also below a verb's own verbs."""
    for below in _below(parser):
        add_side(below, told=told)
    group = parser.add_mutually_exclusive_group()
    for side, what in (("local", "on this machine"), ("cloud", "in the cloud")):
        group.add_argument(
            f"--{side}",
            action="store_const",
            const=side,
            dest="side",
            default=default,
            help=told.format(what),
        )


def _below(parser: _Parser) -> Iterable[_Parser]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            yield from action.choices.values()
