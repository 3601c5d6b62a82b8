"""The targets of the command line, as the handles of the Python client use them."""

import sys
from collections.abc import Sequence
from typing import Any

from conducto.errors import InvalidArgumentError
from conducto_cli.launch.cloud import with_sources
from conducto_cli.target.account import needed_account, profile_named
from conducto_cli.target.connection import LocalAgent
from conducto_cli.target.target import chosen
from conducto_cli.text.text import marks_for, text_of
from conducto_cli.view.model import PipelineModel
from conducto_cli.view.report import ReportPage, final_report
from conducto_client import AgentUnreachableError, Client, HttpTransport
from conducto_client.data import Data
from conducto_client.secrets import SecretStore
from conducto_client.target import Target, TargetName
from conducto_core.run.model.requests import ControlRequest


class _Host:
    """The parts that both targets have."""

    def rebuild_request(
        self, client: Client, pipeline_id: str, request: ControlRequest
    ) -> ControlRequest:
        """Return a rebuild request with the current files of the images, if it needs them."""
        return with_sources(client, pipeline_id, request)

    def failure_report(self, client: Client, pipeline_id: str) -> str:
        model = PipelineModel(client.get(pipeline_id))
        model.add(client.tree(pipeline_id, attempts="newest"))
        lines = final_report(client, model, ReportPage(marks_for(sys.stdout.encoding)))
        return "\n".join(map(text_of, lines))

    def open_page(self, client: Client, pipeline_id: str | None) -> str:
        """Open a page of the web app in a browser, signed in; return its address."""
        from conducto_cli.target.web_page import open_page  # noqa: PLC0415 - rarely needed

        return open_page(client, pipeline_id).address


class LocalHost(_Host):
    """This machine.

    Args:
        profile: Profile of the agent; None is the one in use.
        launching: Commands may start, so the agent must find the container engine.
    """

    name: TargetName = "local"

    def __init__(self, profile: str | None = None, *, launching: bool = False) -> None:
        self._agent = LocalAgent(profile)
        self._launching = launching

    def open(self, *, start: bool = True) -> Client:
        """Return a client of the agent; with ``start``, start the agent if necessary."""
        agent = self._agent
        endpoint = agent.ensure(launching=self._launching) if start else agent.find()
        if endpoint is None:
            raise AgentUnreachableError(
                "no agent is running, so no pipeline on this machine runs; "
                "start it with 'conducto agent start'"
            )
        return Client(HttpTransport(endpoint, find=agent.find))


class CloudHost(_Host):
    """The cloud installation that a profile is logged in to.

    Args:
        profile: None is the one in use.

    Raises:
        UsageError: the profile is not logged in.
    """

    name: TargetName = "cloud"

    def __init__(self, profile: str | None = None) -> None:
        self._profile = profile_named(profile)
        needed_account(self._profile)

    def open(self, *, start: bool = True) -> Client:
        del start  # there is always a server
        return needed_account(self._profile).client()


def selected(target: str | None, profile: str | None) -> TargetName | None:
    return chosen(one_of("target", target, (None, "local", "cloud")), profile)


def open_target(where: TargetName, profile: str | None, *, launching: bool = False) -> Target:
    """Return a target.

    Args:
        profile: None is the one in use.
        launching: Commands may start there.

    Raises:
        UsageError: the profile is not logged in to the cloud.
    """
    cloud = where == "cloud"
    return Target(CloudHost(profile) if cloud else LocalHost(profile, launching=launching))


def one_of(name: str, value: Any, allowed: Sequence[Any]) -> Any:
    """Return an argument that has one of some values.

    Raises:
        InvalidArgumentError: it has another one.
    """
    if value not in allowed:
        words = " or ".join(repr(each) for each in allowed if each is not None)
        raise InvalidArgumentError(f"{name}: {value!r}; it can be {words}")
    return value


# ----------------------------------------------------------------------------------------
# ``co.connect``.


class Connection:
    """A target: the data of the user and the secrets there.

    Attributes:
        data: The user's data, which all pipelines share.
        secrets: The secrets of the user and of the organisation.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self.data = Data(target, None)
        self.secrets = SecretStore(target)

    @property
    def target(self) -> TargetName:
        """``local`` or ``cloud``."""
        return self._target.name

    def __repr__(self) -> str:
        return f"<connection ({self.target})>"


def connect(target: TargetName | None = None, *, profile: str | None = None) -> Connection:
    """Return a target, for the user's data and the secrets.

    Args:
        target: ``local`` or ``cloud``; by default that of the profile, else ``local``.
        profile: The profile; by default the one in use.
    """
    return Connection(open_target(selected(target, profile) or "local", profile))
