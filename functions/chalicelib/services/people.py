"""The members of an organisation, as one caller may see and change them."""

from chalicelib.ports.identity import Identity
from chalicelib.services.dependencies import Dependencies
from conducto_core.model.operations.operation import Permission
from conducto_core.model.people import Member, MemberList


class Members:
    """The members of the caller's organisation."""

    def __init__(self, cloud: Dependencies, caller: Identity) -> None:
        self._cloud = cloud
        self._me = caller

    def list(self) -> MemberList:
        """Return the members, by name."""
        return MemberList(
            members=tuple(self._seen(one) for one in self._cloud.people.members(self._me.org))
        )

    def _seen(self, member: Member) -> Member:
        """Return a member as the caller may see them."""
        if Permission.MANAGE_ORGANISATION in self._me.permissions:
            return member
        return member.model_copy(update={"email": None})
