"""The operations on the members of the caller's organisation."""

import asyncio

from chalicelib.ports.identity import Identity
from chalicelib.services.dependencies import Dependencies
from chalicelib.services.people import Members
from conducto_core.model.people import MemberList


class CloudPeople:
    """The members of one organisation, with the permissions of one caller."""

    def __init__(self, cloud: Dependencies, identity: Identity) -> None:
        self._cloud = cloud
        self._me = identity
        self._members = Members(cloud, identity)

    async def list_members(self) -> MemberList:
        """List the members of the organisation."""
        return await asyncio.to_thread(self._members.list)
