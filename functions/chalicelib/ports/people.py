"""Organisations' members, invitations, and audit log."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from chalicelib.ports.identity import VerifiedPerson
from conducto_core.model.base import Record
from conducto_core.model.people import AuditEntry, AuditPage, AuditParams, Invitation, Member, Role


class InvitationRecord(Record):
    """An invitation and its state."""

    invitation: Invitation
    digest: str
    state: Literal["open", "accepted", "withdrawn"] = "open"


class People(Protocol):
    """The members of all organisations.

    Each membership is also in `Tokens`, as the root of the member's tokens and sessions, under
    `chalicelib.domain.tokens.membership_digest`.
    """

    def members(self, org: str) -> Sequence[Member]:
        """Return the members of an organisation, by name."""

    def member(self, org: str, user: str) -> Member | None:
        """Return a member."""

    def has_left(self, org: str, user: str) -> bool:
        """Return whether there was a member of that name, who left or was removed."""

    def former(self, org: str) -> Sequence[str]:
        """Return the user ids of members who left or were removed."""

    def forget_former(self, org: str, user: str) -> None:
        """Forget that there was a member of that name."""

    def person(self, org: str, user: str) -> VerifiedPerson | None:
        """Return the person at the identity provider who is a member, if known."""

    def join(
        self,
        org: str,
        member: Member,
        *,
        invitation: str | None = None,
        person: VerifiedPerson | None = None,
        first: bool = False,
    ) -> None:
        """Add a member in one transaction.

        Args:
            org: The organisation.
            member: The member.
            invitation: Digest of an open invitation, which becomes an accepted one.
            person: The person at the identity provider, who must not be another member; also in
                `Identities`.
            first: The organisation must not have had a member, a plan or a subscription before.

        Raises:
            ConflictError: There is a member of that name, or another condition is not met.
        """

    def change(self, org: str, member: Member, role: Role | None, by: str | None) -> None:
        """Change a member's role, or remove the member (None), in one transaction.

        The conditions are that the role is still ``member.role``, that an owner is left, and that
        ``by`` is still a member with the role that the change needs.

        Raises:
            ConflictError: A condition is not met; nothing was changed.
        """

    def invite(self, org: str, record: InvitationRecord) -> None:
        """Store an invitation."""

    def invitations(self, org: str) -> Sequence[InvitationRecord]:
        """Return the invitations of an organisation, the newest first."""

    def invitation(self, org: str, digest: str) -> InvitationRecord | None:
        """Return an invitation."""

    def withdraw(self, org: str, digest: str) -> None:
        """Withdraw an open invitation; raises `ConflictError` for any other."""

    def drop_invitation(self, org: str, digest: str) -> None:
        """Delete the record of an invitation."""

    def dissolve(self, org: str) -> None:
        """Remove all members and invitations at once, without the conditions of `change`.

        Nobody can be the ``first`` member again: the audit log, usage and subscription stay.
        """


class AuditLog(Protocol):
    """The requests of each organisation that did more than read."""

    def add(self, org: str, entry: AuditEntry) -> str:
        """Store an entry, and return its position."""

    def end(self, org: str, position: str, status: int, subject: str | None) -> None:
        """Store the status of a response; ``subject``: it replaces that of the entry."""

    def page(self, org: str, params: AuditParams) -> AuditPage:
        """Return a page of entries, the newest first."""

    def rename(
        self, org: str, user: str, replacement: str, check: Callable[[], None] = lambda: None
    ) -> int:
        """Replace a user's name in all entries; return their number.

        ``check`` is called before each entry, and may raise to stop.
        """
