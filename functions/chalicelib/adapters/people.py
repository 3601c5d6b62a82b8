"""Members and invitations in the table: a record for listing, and a token for each."""

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.adapters import table_keys
from chalicelib.adapters.dynamodb import ALWAYS, NEW, Condition, DynamoTable, Item, Update
from chalicelib.adapters.tokens import TableTokens
from chalicelib.domain.tokens import membership_digest
from chalicelib.ports.errors import ConflictError
from chalicelib.ports.identity import VerifiedPerson
from chalicelib.ports.people import InvitationRecord
from conducto_core.model.operations.operation import Permission
from conducto_core.model.people import INVITATION_KEPT_SECONDS, Member, Role
from conducto_core.semantics.roles import needed_to_change, permissions_of


class TablePeople:
    """A `chalicelib.ports.people.People`."""

    def __init__(self, table: DynamoTable, tokens: TableTokens) -> None:
        self._table = table
        self._tokens = tokens

    def members(self, org: str) -> Sequence[Member]:
        """Return the members of an organisation, by name."""
        return [_member(item) for _, item in self._table.below(table_keys.member(org, ""))]

    def member(self, org: str, user: str) -> Member | None:
        """Return a member."""
        item = self._table.get(table_keys.member(org, user))
        return None if item is None else _member(item)

    def has_left(self, org: str, user: str) -> bool:
        """Return whether there was a member of that name."""
        return self._table.get(table_keys.former_member(org, user)) is not None

    def former(self, org: str) -> Sequence[str]:
        """Return the user ids of members who left or were removed."""
        return [user for user, _ in self._table.below(table_keys.former_member(org, ""))]

    def forget_former(self, org: str, user: str) -> None:
        """Forget that there was a member of that name."""
        self._table.delete(table_keys.former_member(org, user))

    def person(self, org: str, user: str) -> VerifiedPerson | None:
        """Return the person at the identity provider who is a member."""
        item = self._table.get(table_keys.member(org, user)) or {}
        if "issuer" not in item:
            return None
        return VerifiedPerson(str(item["issuer"]), str(item["subject"]), "", 0.0)

    def join(
        self,
        org: str,
        member: Member,
        *,
        invitation: str | None = None,
        person: VerifiedPerson | None = None,
        first: bool = False,
    ) -> None:
        """Add a member in one transaction."""
        owners = int(member.role is Role.OWNER)
        item = _item(member, person)
        count = Update(table_keys.members(org), add={"owners": owners}, where=NEW if first else "")
        operations = [
            self._table.put_operation(table_keys.member(org, member.user), item, new=True),
            self._tokens.root_operation(org, member.user, member.role),
            self._table.update_operation(count),
        ]
        if person is not None:
            link = table_keys.person(person.issuer, person.subject, org)
            operations.append(self._table.put_operation(link, {"user": member.user}, new=True))
        if first:
            # A new organisation must not get the plan or the subscription of another.
            unused = (table_keys.org(org), table_keys.account(org))
            operations += [self._table.check_operation(key, Condition(NEW)) for key in unused]
        if invitation is not None:
            operations.append(self._close(org, invitation, "accepted"))
        self._write(operations)

    def change(self, org: str, member: Member, role: Role | None, by: str | None) -> None:
        """Change or remove a member in one transaction."""
        key, root = table_keys.member(org, member.user), membership_digest(org, member.user)
        same = Condition("member_role = :before", {":before": member.role.value})
        person = self.person(org, member.user)
        if role is None:
            operations = [
                self._table.delete_operation(key, condition=same),
                self._table.delete_operation(table_keys.token(root)),
                self._table.put_operation(table_keys.former_member(org, member.user), {}),
            ]
            if person is not None:
                link = table_keys.person(person.issuer, person.subject, org)
                operations.append(self._table.delete_operation(link))
        else:
            changed = _item(member.model_copy(update={"role": role}), person)
            operations = [
                self._table.put_operation(key, changed, condition=same),
                self._tokens.root_operation(org, member.user, role),
            ]
        operations += self._owners(org, member.role, role)
        if by is not None and by != member.user:
            operations.append(self._entitled(org, by, needed_to_change(member.role, role)))
        self._write(operations)

    def _owners(self, org: str, before: Role, after: Role | None) -> list[Mapping[str, Any]]:
        more = int(after is Role.OWNER) - int(before is Role.OWNER)
        if more == 0:
            return []
        left = Condition("owners > :one", {":one": 1}) if more < 0 else ALWAYS
        update = Update(
            table_keys.members(org), add={"owners": more}, where=left.where, values=left.values
        )
        return [self._table.update_operation(update)]

    def _entitled(self, org: str, user: str, needed: Permission) -> Mapping[str, Any]:
        roles = [role for role in Role if needed in permissions_of(role)]
        values = {f":{role}": role.value for role in roles}
        entitled = Condition(" OR ".join(f"member_role = {name}" for name in values), values)
        return self._table.check_operation(table_keys.member(org, user), entitled)

    def invite(self, org: str, record: InvitationRecord) -> None:
        """Store an invitation."""
        kept = int(record.invitation.expires) + INVITATION_KEPT_SECONDS
        item: Item = {
            "invitation": record.model_dump_json(),
            "state": record.state,
            "expires": kept,
        }
        self._table.put(table_keys.invitation(org, record.digest), item)

    def invitations(self, org: str) -> Sequence[InvitationRecord]:
        """Return the invitations of an organisation, the newest first."""
        found = [_invitation(item) for _, item in self._table.below(table_keys.invitation(org, ""))]
        return sorted(found, key=lambda record: record.invitation.created, reverse=True)

    def invitation(self, org: str, digest: str) -> InvitationRecord | None:
        """Return an invitation."""
        item = self._table.get(table_keys.invitation(org, digest))
        return None if item is None else _invitation(item)

    def withdraw(self, org: str, digest: str) -> None:
        """Withdraw an open invitation."""
        self._write([self._close(org, digest, "withdrawn")])

    def drop_invitation(self, org: str, digest: str) -> None:
        """Delete the record of an invitation."""
        self._table.delete(table_keys.invitation(org, digest))

    def dissolve(self, org: str) -> None:
        """Remove all members and invitations; the name stays taken."""
        users = [member.user for member in self.members(org)]
        digests = [record.digest for record in self.invitations(org)]
        # The roots first: this ends all tokens even if the rest is interrupted.
        keys = [
            *(table_keys.token(membership_digest(org, user)) for user in users),
            *(table_keys.token(digest) for digest in digests),
            *(table_keys.invitation(org, digest) for digest in digests),
            *(table_keys.former_member(org, user) for user in self.former(org)),
            *(table_keys.member(org, user) for user in users),
        ]
        self._table.put(table_keys.members(org), {"owners": 0})
        self._table.delete_all(keys)

    def _close(self, org: str, digest: str, state: str) -> Mapping[str, Any]:
        is_open = {":open": "open"}
        key = table_keys.invitation(org, digest)
        return self._table.update_operation(
            Update(key, set={"state": state}, where="#state = :open", values=is_open)
        )

    def _write(self, operations: Sequence[Mapping[str, Any]]) -> None:
        reasons = self._table.try_transact(operations)
        if reasons:
            raise ConflictError(", ".join(reasons))


def _item(member: Member, person: VerifiedPerson | None) -> Item:
    item: Item = {"member": member.model_dump_json(), "member_role": member.role.value}
    if person is None:
        return item
    return {**item, "issuer": person.issuer, "subject": person.subject}


def _member(item: Item) -> Member:
    return Member.model_validate_json(str(item["member"]))


def _invitation(item: Item) -> InvitationRecord:
    record = InvitationRecord.model_validate_json(str(item["invitation"]))
    return record.model_copy(update={"state": item["state"]})
