"""Members and invitations in the table: a record for listing, and a token for each."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, get_args

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import ALWAYS, NEW, Condition, DynamoTable, Item, Update, Value
from chalicelib.errors import ConflictError
from chalicelib.people.port import Identity, InvitationRecord, TokenRecord, VerifiedPerson
from chalicelib.people.tokens import is_listed, membership_digest
from conducto_core.api.operation import Permission
from conducto_core.billing.rules import month_of
from conducto_core.installation.names import BY_ORG, OPEN
from conducto_core.people.model import (
    INVITATION_KEPT_SECONDS,
    AuditEntry,
    AuditPage,
    AuditParams,
    Member,
    Role,
    TokenKind,
)
from conducto_core.people.rules import narrowed, needed_to_change, permissions_of

# ----------------------------------------------------------------------------------------
# Tokens in the table, by digest; those of users also by organisation, for listing.


_MINUTE = 60
_KINDS: Mapping[str, TokenKind] = {kind: kind for kind in get_args(TokenKind)}


class TableTokens:
    """Opaque tokens; only their SHA-256 digests are stored."""

    def __init__(self, table: DynamoTable, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock
        self._signing_key: bytes | None = None

    def put(
        self,
        digest: str,
        identity: Identity,
        *,
        expires: float | None,
        parent: str | None = None,
        kind: TokenKind = "login",
        name: str = "",
    ) -> None:
        """Store a token; one with a ``parent`` is valid only while its parent is."""
        created = self._clock()
        item: dict[str, Value] = {"identity": _text(identity), "created": created, "kind": kind}
        if name:
            item["name"] = name
        if parent is not None:
            item["parent"] = parent
        if expires is not None:
            # `until` is the exact expiry; DynamoDB deletes expired items within days, by whole
            # seconds.
            item |= {"expires": int(expires) + 1, "until": expires}
        if is_listed(identity):
            item |= {
                BY_ORG.partition_key: _org_key(identity.org),
                BY_ORG.sort_key: f"{created:020.6f}#{digest}",
            }
        self._table.put(table_keys.token(digest), item)

    def put_root(self, digest: str, identity: Identity) -> None:
        """Store the parent of a trust's tokens, which is not listed."""
        self._table.put(
            table_keys.token(digest), {"identity": _text(identity), "created": self._clock()}
        )

    def root_operation(self, org: str, user: str, role: Role) -> Mapping[str, Any]:
        """Return the operation that writes the root token of a member."""
        identity = _text(Identity(org, user, frozenset()))
        item = {"identity": identity, "role": role.value, "created": self._clock()}
        return self._table.put_operation(table_keys.token(membership_digest(org, user)), item)

    def find(self, digest: str) -> Identity | None:
        """Return a token's identity with the permissions that it and its parent have.

        None: the token or its parent is unknown, was revoked, or has expired.
        """
        item = self._table.get(table_keys.token(digest))
        if item is None or float(item.get("until", self._clock() + 1)) <= self._clock():
            return None
        identity = _identity(item, digest)
        if identity.parent is None:
            return identity
        parent = self.find(identity.parent)
        if parent is None:
            return None
        may = narrowed(identity.permissions, parent.permissions)
        return replace(identity, permissions=may)

    def revoke_once(self, digest: str) -> bool:
        """Revoke a token; return True for exactly one of concurrent callers."""
        return self._table.delete_once(table_keys.token(digest))

    def count_in_minute(self, what: str, token: str) -> int:
        """Count a use of a token, such as a sign-in code, and return the number in this minute."""
        minute = int(self._clock() // _MINUTE)
        # No client's token has a digest of this form.
        key = table_keys.token(f"{what}:{token}:{minute}")
        expires = {"expires": (minute + 2) * _MINUTE}
        return self._table.count(Update(key, set=expires, add={what: 1}), what)

    def signing_key(self) -> bytes:
        """Return the secret key of the installation that signs what assistants send back."""
        if self._signing_key is None:
            key = table_keys.token("signing-key")  # no client's token has such a digest
            found = self._table.get(key)
            if found is None:
                made = self._table.put_operation(key, {"secret": token_hex(32)}, new=True)
                self._table.try_transact([made])  # another process may just have written it
                found = self._table.get(key) or {}
            self._signing_key = bytes.fromhex(str(found["secret"]))
        return self._signing_key

    def list_by_org(self, org: str) -> Sequence[TokenRecord]:
        """Return the tokens of an organisation's users, newest first, with their sessions."""
        return [
            _valid_fields(key.partition.removeprefix("T#"), item)
            for key, item in self._table.index(BY_ORG, _org_key(org))
        ]


def _org_key(org: str) -> str:
    return f"T#{org}"


def _text(identity: Identity) -> str:
    return json.dumps(
        {
            "org": identity.org,
            "user": identity.user,
            "permissions": sorted(identity.permissions),
            "worker": identity.worker,
            "attempt": identity.attempt,
            **({"challenge": identity.challenge} if identity.challenge else {}),
            **({"scopes": identity.scopes} if identity.scopes else {}),
            **({} if identity.budget is None else {"budget": identity.budget}),
        }
    )


def _valid_fields(digest: str, item: Item) -> TokenRecord:
    return TokenRecord(
        digest=digest,
        identity=_identity(item, digest),
        created=float(item["created"]),
        expires=float(item["until"]) if "until" in item else None,
        name=str(item.get("name", "")),
    )


def _identity(item: Item, digest: str) -> Identity:
    known = json.loads(str(item["identity"]))
    worker, attempt = known["worker"], known.get("attempt")
    parent = item.get("parent")
    return Identity(
        org=known["org"],
        user=known["user"],
        permissions=(
            permissions_of(Role(str(item["role"])))
            if "role" in item
            else frozenset(known["permissions"])
        ),
        worker=None if worker is None else (worker[0], worker[1], worker[2]),
        attempt=None if attempt is None else (attempt[0], attempt[1], attempt[2]),
        token=digest,
        parent=None if parent is None else str(parent),
        challenge=known.get("challenge", ""),
        kind=_KINDS.get(str(item.get("kind", "login")), "token"),
        scopes=tuple(known.get("scopes", ())),
        created=float(item["created"]),
        budget=known.get("budget"),
    )


class TablePeople:
    """The members of all organisations.

    Each membership is also in `TableTokens`, as the root of the member's tokens and sessions, under
    `chalicelib.people.tokens.membership_digest`.
    """

    def __init__(self, table: DynamoTable, tokens: TableTokens) -> None:
        self._table = table
        self._tokens = tokens

    def members(self, org: str) -> Sequence[Member]:
        """Return the members of an organisation, by name."""
        return [_member(item) for _, item in self._table.below(table_keys.member(org, ""))]

    def member(self, org: str, user: str) -> Member | None:
        item = self._table.get(table_keys.member(org, user))
        return None if item is None else _member(item)

    def has_left(self, org: str, user: str) -> bool:
        """Return whether there was a member of that name, who left or was removed."""
        return self._table.get(table_keys.former_member(org, user)) is not None

    def former(self, org: str) -> Sequence[str]:
        """Return the user ids of members who left or were removed."""
        return [user for user, _ in self._table.below(table_keys.former_member(org, ""))]

    def forget_former(self, org: str, user: str) -> None:
        """Forget that there was a member of that name."""
        self._table.delete(table_keys.former_member(org, user))

    def person(self, org: str, user: str) -> VerifiedPerson | None:
        """Return the person at the identity provider who is a member, if known."""
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
        """Add a member in one transaction.

        Args:
            org: The organisation.
            member: The member.
            invitation: Digest of an open invitation, which becomes an accepted one.
            person: The person at the identity provider, who must not be another member; also in
                `TableIdentities`.
            first: The organisation must not have had a member, a plan or a subscription before.

        Raises:
            ConflictError: There is a member of that name, or another condition is not met.
        """
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
            operations += self._close(org, invitation, "accepted")
        self._write(operations)

    def change(self, org: str, member: Member, role: Role | None, by: str | None) -> None:
        """Change a member's role, or remove the member (None), in one transaction.

        The conditions are that the role is still ``member.role``, that an owner is left, and that
        ``by`` is still a member with the role that the change needs.

        Raises:
            ConflictError: A condition is not met; nothing was changed.
        """
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
        """Store an invitation, and mark its address, which may now sign up."""
        until = record.invitation.expires
        kept = int(record.invitation.expires) + INVITATION_KEPT_SECONDS
        item: Item = {
            "invitation": record.model_dump_json(),
            "state": record.state,
            "expires": kept,
        }
        mark: Item = {"until": until, "expires": int(until) + 1}
        self._write(
            [
                self._table.put_operation(table_keys.invitation(org, record.digest), item),
                self._table.put_operation(_mark(org, record), mark),
            ]
        )

    def invitations(self, org: str) -> Sequence[InvitationRecord]:
        """Return the invitations of an organisation, the newest first."""
        found = [_invitation(item) for _, item in self._table.below(table_keys.invitation(org, ""))]
        return sorted(found, key=lambda record: record.invitation.created, reverse=True)

    def invitation(self, org: str, digest: str) -> InvitationRecord | None:
        item = self._table.get(table_keys.invitation(org, digest))
        return None if item is None else _invitation(item)

    def withdraw(self, org: str, digest: str) -> None:
        """Withdraw an open invitation; raises `ConflictError` for any other."""
        self._write(self._close(org, digest, "withdrawn"))

    def drop_invitation(self, org: str, digest: str) -> None:
        """Delete the record of an invitation."""
        record = self.invitation(org, digest)
        if record is not None:
            self._table.delete(_mark(org, record))
        self._table.delete(table_keys.invitation(org, digest))

    def dissolve(self, org: str) -> None:
        """Remove all members and invitations at once, without the conditions of `change`.

        Nobody can be the ``first`` member again: the audit log, usage and subscription stay.
        """
        users = [member.user for member in self.members(org)]
        invitations = self.invitations(org)
        digests = [record.digest for record in invitations]
        # The roots first: this ends all tokens even if the rest is interrupted.
        keys = [
            *(table_keys.token(membership_digest(org, user)) for user in users),
            *(table_keys.token(digest) for digest in digests),
            *(_mark(org, record) for record in invitations),
            *(table_keys.invitation(org, digest) for digest in digests),
            *(table_keys.former_member(org, user) for user in self.former(org)),
            *(table_keys.member(org, user) for user in users),
        ]
        self._table.put(table_keys.members(org), {"owners": 0})
        self._table.delete_all(keys)

    def _close(self, org: str, digest: str, state: str) -> list[Mapping[str, Any]]:
        is_open = {":open": "open"}
        key = table_keys.invitation(org, digest)
        closed = Update(key, set={"state": state}, where="#state = :open", values=is_open)
        record = self.invitation(org, digest)
        marks = [] if record is None else [self._table.delete_operation(_mark(org, record))]
        return [self._table.update_operation(closed), *marks]

    def _write(self, operations: Sequence[Mapping[str, Any]]) -> None:
        reasons = self._table.try_transact(operations)
        if reasons:
            raise ConflictError(", ".join(reasons))


def _item(member: Member, person: VerifiedPerson | None) -> Item:
    item: Item = {"member": member.model_dump_json(), "member_role": member.role.value}
    if person is None:
        return item
    return {**item, "issuer": person.issuer, "subject": person.subject}


def _mark(org: str, record: InvitationRecord) -> table_keys.Key:
    return table_keys.invited(record.invitation.email, org, record.digest)


def _member(item: Item) -> Member:
    return Member.model_validate_json(str(item["member"]))


def _invitation(item: Item) -> InvitationRecord:
    record = InvitationRecord.model_validate_json(str(item["invitation"]))
    return record.model_copy(update={"state": item["state"]})


# ----------------------------------------------------------------------------------------
# The audit log in the table, by month.


#: Seconds for which an entry is kept: 400 days.
AUDIT_SECONDS = 400 * 86_400
#: Maximum number of entries that one request reads; a filter may select few of them.
MAX_SCAN = 5000


#: Partition of the index with entries that are not copied yet. The oldest has the greatest sort
#: key, since it is read in descending order.
_UNCOPIED = "audit"
_END_OF_TIME = 10**11


class TableAuditLog:
    """The requests of each organisation that did more than read.

    Args:
        copied: Whether entries are copied to a bucket (`uncopied`).
    """

    def __init__(
        self, table: DynamoTable, clock: Callable[[], float], *, copied: bool = False
    ) -> None:
        self._table = table
        self._clock = clock
        self._copied = copied

    def add(self, org: str, entry: AuditEntry) -> str:
        """Store an entry, and return its position."""
        position = f"{entry.time:020.6f}#{token_hex(4)}"
        item: dict[str, Value] = {
            "entry": entry.model_dump_json(),
            "expires": int(entry.time) + AUDIT_SECONDS,
        }
        if self._copied:
            item[OPEN.partition_key] = _UNCOPIED
            item[OPEN.sort_key] = f"{_END_OF_TIME - entry.time:019.6f}#{position}"
        self._table.put(table_keys.audit(org, month_of(entry.time), position), item)
        return position

    def uncopied(self, before: float) -> Iterator[tuple[table_keys.Key, str, AuditEntry]]:
        """Yield ``(key, organisation, entry)`` of entries that are not copied, the oldest first."""
        first = f"{_END_OF_TIME - before:019.6f}"
        for key, found in self._table.index(OPEN, _UNCOPIED):
            if str(found[OPEN.sort_key]) < first:
                return
            item = self._table.get(key)
            if item is not None and OPEN.sort_key in item:
                yield key, key.partition.split("#")[1], _entry(item)

    def set_copied(self, key: table_keys.Key) -> None:
        """Mark an entry as copied; one that has expired stays deleted."""
        with suppress(ConflictError):
            self._table.update(
                Update(
                    key,
                    remove=(OPEN.partition_key, OPEN.sort_key),
                    where="attribute_exists(entry)",
                )
            )

    def end(self, org: str, position: str, status: int, subject: str | None) -> None:
        """Store the status of a response; ``subject``: it replaces that of the entry.

        Only these attributes are written: the user may have been renamed since.
        """
        month = month_of(float(position.partition("#")[0]))
        made = {} if subject is None else {"subject": subject}
        self._table.update(
            Update(
                table_keys.audit(org, month, position),
                set={"status": status, **made},
                where="attribute_exists(entry)",
            )
        )

    def page(self, org: str, params: AuditParams) -> AuditPage:
        """Return a page of entries, the newest first."""
        found: list[AuditEntry] = []
        last = None
        for number, (position, entry) in enumerate(self._entries(org, params.after)):
            if len(found) == params.limit or number == MAX_SCAN:
                return AuditPage(entries=tuple(found), next=last)
            last = position
            if params.user in (None, entry.user) and params.operation in (None, entry.operation):
                found.append(entry)
        return AuditPage(entries=tuple(found))

    def rename(
        self, org: str, user: str, replacement: str, check: Callable[[], None] = lambda: None
    ) -> int:
        """Replace a user's name in all entries; return their number.

        ``check`` is called before each entry, and may raise to stop.
        """
        count = 0
        for position, entry in self._entries(org, None):
            check()
            update = {
                name: replacement for name in ("user", "subject") if getattr(entry, name) == user
            }
            if update:
                renamed = entry.model_copy(update=update)
                # The status and the subject of the response are in the entry from now on.
                self._table.update(
                    Update(
                        table_keys.audit(org, month_of(entry.time), position),
                        set={"entry": renamed.model_dump_json()},
                        remove=("status", "subject"),
                    )
                )
                count += 1
        return count

    def _entries(self, org: str, after: str | None) -> Iterator[tuple[str, AuditEntry]]:
        """Yield ``(position, entry)`` of the entries before a position, the newest first."""
        now = self._clock()
        newest = now if after is None else min(float(after.partition("#")[0]), now)
        for month in _months(newest, now - AUDIT_SECONDS):
            partition = table_keys.audit(org, month, "").partition
            high = table_keys.LAST if after is None else after
            for position, item in self._table.range(partition, "0", high, reverse=True):
                if position != after:
                    yield position, _entry(item)


def _entry(item: Mapping[str, Value]) -> AuditEntry:
    entry = AuditEntry.model_validate_json(str(item["entry"]))
    ended = {"status": int(item["status"])} if "status" in item else {}
    created = {"subject": str(item["subject"])} if "subject" in item else {}
    return entry.model_copy(update={**ended, **created})


def _months(newest: float, oldest: float) -> Iterator[str]:
    """Yield the months from ``newest`` back to ``oldest``, with one more for clocks that differ."""
    day = datetime.fromtimestamp(newest + 600, UTC)
    year, month = day.year, day.month
    last = month_of(oldest)
    while (name := f"{year:04}-{month:02}") >= last:
        yield name
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
