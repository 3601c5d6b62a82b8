"""The operations on the caller's organisation itself, instead of its pipelines."""

from collections.abc import Callable

from chalicelib.api.agents import CloudAgents
from chalicelib.api.billing import CloudBilling
from chalicelib.api.github_app import CloudGithubApp
from chalicelib.api.people import CloudPeople
from chalicelib.api.sign_in import CloudSignIn
from chalicelib.api.triggers import CloudTriggers
from chalicelib.ports.identity import Identity
from chalicelib.services.processor import CommandProcessor


class CloudOrganisation(
    CloudPeople, CloudSignIn, CloudBilling, CloudAgents, CloudTriggers, CloudGithubApp
):
    """The organisation of one caller, with their permissions.

    ``begin`` begins the audit entry of a caller who signs in.
    """

    def __init__(
        self,
        engine: CommandProcessor,
        identity: Identity,
        begin: Callable[[Identity], None] = lambda _caller: None,
    ) -> None:
        super().__init__(engine, identity)
        self._begin = begin
        self._slots = engine.slots
