"""The operations on the caller's organisation and its members."""

import asyncio
from collections.abc import Callable

from chalicelib.api.store import TableConnections
from chalicelib.people.members import Invitations, Members, MemberTokens
from chalicelib.people.organisations import Organisations
from chalicelib.people.personal_data import PersonalDataOf
from chalicelib.people.port import Identity, SecretVault
from chalicelib.records import Records
from chalicelib.run.port import DataFiles
from conducto_core.api.serve import serves
from conducto_core.people import model as m
from conducto_core.people import operations as people_operations


class CloudPeople:
    """One organisation and its members, with the permissions of one caller."""

    def __init__(
        self,
        me: Identity,
        organisations: Organisations,
        invitations: Invitations,
        *,
        records: Records,
        connections: TableConnections,
        data: DataFiles,
        vault: SecretVault,
        clock: Callable[[], float],
    ) -> None:
        self._me, self._records, self._connections = me, records, connections
        self._data, self._vault, self._clock = data, vault, clock
        self._organisations, self._invitations = organisations, invitations
        self._members = Members(records, connections, clock, me)
        self._tokens = MemberTokens(records, connections, clock, me)

    @serves(people_operations.LIST_ORGANISATIONS)
    async def list_organisations(self) -> m.OrganisationList:
        return await asyncio.to_thread(self._organisations.listing)

    @serves(people_operations.CREATE_ORGANISATION)
    async def create_organisation(self, request: m.NewOrganisation) -> m.MemberLogin:
        """Create an organisation, with the caller as its owner."""
        return await asyncio.to_thread(self._organisations.create, request.name)

    @serves(people_operations.SWITCH_ORGANISATION)
    async def switch_organisation(self, params: m.OrganisationParams) -> m.MemberLogin:
        """Return a token for another organisation of the person."""
        return await asyncio.to_thread(self._organisations.switch, params.org)

    @serves(people_operations.DELETE_ORGANISATION)
    async def delete_organisation(
        self, params: m.DeleteOrganisationParams
    ) -> m.OrganisationDeleted:
        return await asyncio.to_thread(self._organisations.delete, params)

    @serves(people_operations.LIST_MEMBERS)
    async def list_members(self) -> m.MemberList:
        return await asyncio.to_thread(self._members.listing)

    @serves(people_operations.CHANGE_ROLE)
    async def change_role(self, params: m.MemberParams, request: m.RoleChange) -> m.MemberChanged:
        return await asyncio.to_thread(self._members.change_role, params.user, request.role)

    @serves(people_operations.REMOVE_MEMBER)
    async def remove_member(self, params: m.MemberParams) -> m.MemberRemoved:
        return await asyncio.to_thread(self._members.remove, params.user)

    @serves(people_operations.TAKE_OVER)
    async def take_over(self, params: m.TakeOverParams) -> m.OwnedRecord:
        """Make the caller the owner of a suspended trust, notification rule or trigger."""
        return await asyncio.to_thread(self._members.take_over, params)

    @serves(people_operations.LEAVE)
    async def leave_organisation(self) -> m.MemberRemoved:
        """End the caller's membership."""
        return await asyncio.to_thread(self._members.leave)

    @serves(people_operations.EXPORT_MEMBER)
    async def export_member(self, params: m.ExportParams) -> m.PersonalData:
        """Return a part of the data about a user."""
        return await asyncio.to_thread(self._data_of(params).export, params.after)

    @serves(people_operations.ERASE_MEMBER)
    async def erase_member(self, params: m.MemberParams) -> m.PersonErased:
        """Erase the data about a former member."""
        return await asyncio.to_thread(self._data_of(params).erase)

    def _data_of(self, params: m.MemberParams) -> PersonalDataOf:
        return PersonalDataOf(
            self._me,
            params.user,
            records=self._records,
            connections=self._connections,
            data=self._data,
            vault=self._vault,
            clock=self._clock,
        )

    @serves(people_operations.LIST_INVITATIONS)
    async def list_invitations(self) -> m.InvitationList:
        """List the invitations that can still be accepted."""
        return await asyncio.to_thread(self._invitations.listing)

    @serves(people_operations.CREATE_INVITATION)
    async def create_invitation(self, request: m.NewInvitation) -> m.InvitationLink:
        """Invite somebody."""
        return await asyncio.to_thread(self._invitations.create, request)

    @serves(people_operations.WITHDRAW_INVITATION)
    async def withdraw_invitation(self, params: m.InvitationParams) -> m.Invitation:
        return await asyncio.to_thread(self._invitations.withdraw, params.id)

    @serves(people_operations.ACCEPT_INVITATION)
    async def accept_invitation(self, request: m.AcceptInvitation) -> m.MemberLogin:
        """Make the owner of the code a member."""
        return await asyncio.to_thread(self._invitations.accept, request)

    @serves(people_operations.LIST_TOKENS)
    async def list_tokens(self, params: m.TokenListParams) -> m.MemberTokenList:
        return await asyncio.to_thread(self._tokens.listing, params, sessions=False)

    @serves(people_operations.CREATE_TOKEN)
    async def create_token(self, request: m.NewToken) -> m.CreatedToken:
        """Create a token for a program."""
        return await asyncio.to_thread(self._tokens.create, request)

    @serves(people_operations.REVOKE_TOKEN)
    async def revoke_token(self, params: m.TokenParams) -> m.TokensRevoked:
        return await asyncio.to_thread(self._tokens.revoke, params.id, sessions=False)

    @serves(people_operations.LIST_SESSIONS)
    async def list_sessions(self, params: m.TokenListParams) -> m.MemberTokenList:
        """List sessions of browsers."""
        return await asyncio.to_thread(self._tokens.listing, params, sessions=True)

    @serves(people_operations.END_ONE_SESSION)
    async def end_one_session(self, params: m.TokenParams) -> m.TokensRevoked:
        return await asyncio.to_thread(self._tokens.revoke, params.id, sessions=True)

    @serves(people_operations.END_ALL_SESSIONS)
    async def end_all_sessions(self) -> m.TokensRevoked:
        return await asyncio.to_thread(self._tokens.end_all)

    @serves(people_operations.LIST_AUDIT)
    async def list_audit(self, params: m.AuditParams) -> m.AuditPage:
        return await asyncio.to_thread(self._records.audit.page, self._me.org, params)
