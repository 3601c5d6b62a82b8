"""Git triggers: the webhooks that were received, and the providers' APIs."""

from collections.abc import Sequence
from typing import Protocol

from conducto_core.model.triggers import Delivery, Trigger


class Deliveries(Protocol):
    """The webhooks that triggers received in the last weeks."""

    def add(self, org: str, trigger: str, delivery: Delivery, identity: str) -> bool:
        """Store a delivery; return False if one of the same provider's id is known.

        Raises:
            ThrottledError: Nothing was stored; retry later.
        """

    def get(self, org: str, trigger: str, delivery: str) -> Delivery | None:
        """Return a delivery."""

    def put(self, org: str, trigger: str, delivery: Delivery) -> None:
        """Replace a delivery; it is open while it was only received, or is deferred."""

    def latest(self, org: str, trigger: str, limit: int) -> Sequence[Delivery]:
        """Return the last deliveries, the newest first."""

    def open(self) -> Sequence[tuple[str, str, str]]:
        """Return ``(org, trigger, delivery)`` of all open deliveries, the oldest first."""


class GitProvider(Protocol):
    """The API of a provider."""

    def commit(self, trigger: Trigger, token: str | None, ref: str) -> str:
        """Return the commit of a branch, a tag, or ``HEAD``; raises `DeliveryError`."""

    def read_file(
        self, trigger: Trigger, token: str | None, repository: str, sha: str, path: str
    ) -> bytes | None:
        """Return a file at a commit, or None if there is none; raises `DeliveryError`."""

    def set_status(
        self, trigger: Trigger, token: str, sha: str, description: str, page: str | None
    ) -> None:
        """Report on a commit that its configuration is invalid; raises `DeliveryError`."""
