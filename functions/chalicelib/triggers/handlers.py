"""The operations on the git triggers of the caller's organisation."""

import asyncio

from chalicelib.people.port import Identity
from chalicelib.triggers.github_app import GithubAppSetup
from chalicelib.triggers.launches import TriggerRun
from chalicelib.triggers.triggers import Triggers
from conducto_core.api.serve import serves
from conducto_core.triggers import model as g
from conducto_core.triggers import model as t
from conducto_core.triggers import operations as triggers_operations


class CloudTriggers:
    """The triggers of one organisation, with the permissions of one caller."""

    def __init__(self, me: Identity, triggers: Triggers, run: TriggerRun) -> None:
        self._me, self._triggers, self._run = me, triggers, run

    @serves(triggers_operations.LIST_TRIGGERS)
    async def list_triggers(self) -> t.TriggerList:
        return await asyncio.to_thread(self._triggers.listing)

    @serves(triggers_operations.PUT_TRIGGER)
    async def put_trigger(self, params: t.TriggerParams, request: t.TriggerRequest) -> t.NewTrigger:
        return await asyncio.to_thread(self._triggers.put, params.name, request)

    @serves(triggers_operations.DELETE_TRIGGER)
    async def delete_trigger(self, params: t.TriggerParams) -> t.TriggerList:
        return await asyncio.to_thread(self._triggers.delete, params.name)

    @serves(triggers_operations.LIST_DELIVERIES)
    async def list_deliveries(self, params: t.TriggerParams) -> t.DeliveryList:
        """List the last deliveries."""
        return await asyncio.to_thread(self._triggers.deliveries, params.name)

    @serves(triggers_operations.APPROVE_DELIVERY)
    async def approve_delivery(self, params: t.DeliveryParams) -> t.Delivery:
        """Launch a pull request from a fork."""
        return await asyncio.to_thread(self._approve, params)

    @serves(triggers_operations.TEST_TRIGGER)
    async def test_trigger(self, params: t.TriggerParams, request: t.TriggerTrial) -> t.TrialResult:
        """Return the section and command that a push would launch."""
        return await asyncio.to_thread(self._try, params.name, request)

    def _try(self, name: str, request: t.TriggerTrial) -> t.TrialResult:
        trigger = self._triggers.find(name)
        return self._run.trial(self._me.org, trigger, request.branch)

    def _approve(self, params: t.DeliveryParams) -> t.Delivery:
        trigger, delivery = self._triggers.approved(params)
        return self._run.launch(self._me.org, trigger, delivery)


# ----------------------------------------------------------------------------------------
# The operations on the GitHub App of the caller's organisation.


class CloudGithubApp:
    """The GitHub App of one organisation, with the permissions of one caller."""

    def __init__(self, app: GithubAppSetup) -> None:
        self._app = app

    @serves(triggers_operations.GET_GITHUB_APP)
    async def get_github_app(self) -> g.GithubAppView:
        return await asyncio.to_thread(self._app.view)

    @serves(triggers_operations.START_GITHUB_APP)
    async def start_github_app(self, request: g.GithubAppRequest) -> g.GithubAppStart:
        """Return the form that creates an App."""
        return await asyncio.to_thread(self._app.start, request)

    @serves(triggers_operations.FINISH_GITHUB_APP)
    async def finish_github_app(self, request: g.GithubAppCode) -> g.GithubApp:
        """Store the keys of the App that was created."""
        return await asyncio.to_thread(self._app.finish, request)

    @serves(triggers_operations.DELETE_GITHUB_APP)
    async def delete_github_app(self) -> g.GithubAppView:
        """Forget the App."""
        return await asyncio.to_thread(self._app.delete)
