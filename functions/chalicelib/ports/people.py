"""Organisations' members."""

from collections.abc import Sequence
from typing import Protocol

from conducto_core.model.people import Member


class People(Protocol):
    """The members of all organisations.

    Each membership is also in `Tokens`, as the root of the member's tokens and sessions, under
    `chalicelib.domain.tokens.membership_digest` instead of a digest.
    """

    def members(self, org: str) -> Sequence[Member]:
        """Return the members of an organisation, by name."""

    def member(self, org: str, user: str) -> Member | None:
        """Return a member."""

    def join(self, org: str, member: Member) -> None:
        """Add a member.

        Raises:
            ConflictError: The organisation has a member of that name.
        """
