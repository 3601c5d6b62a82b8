"""Members, invitations and the audit log, in memory."""

from collections.abc import Callable, Sequence

from tests.fakes.cloud.identity import FakeTokens
from tests.fakes.cloud.sign_in import FakeIdentities

from chalicelib.errors import ConflictError
from chalicelib.people.port import Identity, InvitationRecord, VerifiedPerson
from chalicelib.people.tokens import membership_digest
from conducto_core.api.operation import Permission
from conducto_core.people.model import AuditEntry, AuditPage, AuditParams, Member, Role
from conducto_core.people.rules import needed_to_change, permissions_of


class FakePeople:
    """A fake `People`."""

    def __init__(self, tokens: FakeTokens, identities: FakeIdentities | None = None) -> None:
        self._identities = identities or FakeIdentities()
        self._tokens = tokens
        self._members: dict[str, dict[str, Member]] = {}
        self._people: dict[tuple[str, str], VerifiedPerson] = {}
        self._left: dict[str, set[str]] = {}
        self._invitations: dict[tuple[str, str], InvitationRecord] = {}

    def members(self, org: str) -> Sequence[Member]:
        return [member for _, member in sorted(self._members.get(org, {}).items())]

    def member(self, org: str, user: str) -> Member | None:
        return self._members.get(org, {}).get(user)

    def has_left(self, org: str, user: str) -> bool:
        return user in self._left.get(org, set())

    def former(self, org: str) -> Sequence[str]:
        return sorted(self._left.get(org, set()))

    def forget_former(self, org: str, user: str) -> None:
        self._left.get(org, set()).discard(user)

    def person(self, org: str, user: str) -> VerifiedPerson | None:
        return self._people.get((org, user))

    def join(
        self,
        org: str,
        member: Member,
        *,
        invitation: str | None = None,
        person: VerifiedPerson | None = None,
        first: bool = False,
    ) -> None:
        if self.member(org, member.user) is not None or (first and org in self._members):
            raise ConflictError(f"{member.user} is already a member of {org}")
        if person is not None and org in self._identities.memberships(person):
            raise ConflictError(f"the person is a member of {org}")
        if invitation is not None:
            self._close(org, invitation, "accepted")
        self._members.setdefault(org, {})[member.user] = member
        if person is not None:
            self._people[org, member.user] = person
            self._identities.link(person, org, member.user)
        self._root(org, member)

    def _root(self, org: str, member: Member) -> None:
        root = Identity(org, member.user, permissions_of(member.role))
        self._tokens.put(membership_digest(org, member.user), root, expires=None)

    def change(self, org: str, member: Member, role: Role | None, by: str | None) -> None:
        now = self.member(org, member.user)
        if now is None or now.role is not member.role:
            raise ConflictError("the role has changed")
        owners = [one for one in self.members(org) if one.role is Role.OWNER]
        if member.role is Role.OWNER and role is not Role.OWNER and len(owners) == 1:
            raise ConflictError("the last owner")
        if by not in (None, member.user):
            self._check_entitled(org, str(by), needed_to_change(member.role, role))
        if role is None:
            del self._members[org][member.user]
            person = self._people.pop((org, member.user), None)
            if person is not None:
                self._identities.unlink(person.issuer, person.subject, org)
            self._left.setdefault(org, set()).add(member.user)
            self._tokens.revoke_once(membership_digest(org, member.user))
            return
        changed = member.model_copy(update={"role": role})
        self._members[org][member.user] = changed
        self._root(org, changed)

    def _check_entitled(self, org: str, by: str, needed: Permission) -> None:
        member = self.member(org, by)
        if member is None or needed not in permissions_of(member.role):
            raise ConflictError("not entitled any more")

    def invite(self, org: str, record: InvitationRecord) -> None:
        self._invitations[org, record.digest] = record

    def invitations(self, org: str) -> Sequence[InvitationRecord]:
        mine = [record for (of, _), record in self._invitations.items() if of == org]
        return sorted(mine, key=lambda record: record.invitation.created, reverse=True)

    def invitation(self, org: str, digest: str) -> InvitationRecord | None:
        return self._invitations.get((org, digest))

    def withdraw(self, org: str, digest: str) -> None:
        self._close(org, digest, "withdrawn")

    def drop_invitation(self, org: str, digest: str) -> None:
        self._invitations.pop((org, digest), None)

    def _close(self, org: str, digest: str, state: str) -> None:
        record = self.invitation(org, digest)
        if record is None or record.state != "open":
            raise ConflictError("the invitation is not open")
        self._invitations[org, digest] = record.model_copy(update={"state": state})

    def dissolve(self, org: str) -> None:
        for user in self._members.get(org, {}):
            self._tokens.revoke_once(membership_digest(org, user))
        self._members[org] = {}
        self._left.pop(org, None)
        for of, digest in list(self._invitations):
            if of == org:
                self._tokens.revoke_once(digest)
                del self._invitations[of, digest]


class FakeAuditLog:
    """A fake `AuditLog`; a position is a time, since tests have few entries."""

    def __init__(self) -> None:
        self._entries: dict[str, list[AuditEntry]] = {}

    def add(self, org: str, entry: AuditEntry) -> str:
        entries = self._entries.setdefault(org, [])
        entries.append(entry)
        return _position(len(entries) - 1)

    def end(self, org: str, position: str, status: int, subject: str | None) -> None:
        number = int(position.partition(".")[0])
        made = {} if subject is None else {"subject": subject}
        entry = self._entries[org][number]
        self._entries[org][number] = entry.model_copy(update={"status": status, **made})

    def page(self, org: str, params: AuditParams) -> AuditPage:
        entries = list(enumerate(self._entries.get(org, [])))[::-1]
        if params.after is not None:
            last = int(params.after.partition(".")[0])
            entries = [one for one in entries if one[0] < last]
        found = [
            (number, entry)
            for number, entry in entries
            if params.user in (None, entry.user) and params.operation in (None, entry.operation)
        ]
        page = found[: params.limit]
        more = len(found) > len(page)
        position = _position(page[-1][0]) if more else None
        return AuditPage(entries=tuple(entry for _, entry in page), next=position)

    def rename(
        self, org: str, user: str, replacement: str, check: Callable[[], None] = lambda: None
    ) -> int:
        count = 0
        for number, entry in enumerate(self._entries.get(org, [])):
            check()
            update = {n: replacement for n in ("user", "subject") if getattr(entry, n) == user}
            self._entries[org][number] = entry.model_copy(update=update)
            count += bool(update)
        return count


def _position(number: int) -> str:
    return f"{number:013}.000000#00000000"
