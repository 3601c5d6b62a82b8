"""Callers: whether they are a member, and their current permissions.

API Gateway may have authorized a caller minutes ago.
"""

from collections.abc import Callable

from chalicelib.people.port import Identity
from chalicelib.people.store.members import TablePeople, TableTokens
from chalicelib.people.tokens import membership_digest
from chalicelib.records import Records
from conducto_core.api.operation import Permission
from conducto_core.errors import RefusedError
from conducto_core.people.model import PROGRAM_KINDS
from conducto_core.people.rules import PURPOSES, permissions_of

#: Seconds for which a process uses what it read about a token. A change takes effect after them.
FRESH_SECONDS = 5.0
#: Maximum number of tokens in the cache.
_MAX = 1000
#: Tokens of machines, which are checked against the journal of their pipeline.
_MACHINES = frozenset(
    {Permission.START_WORKER.value, Permission.WORKER.value, Permission.CHILDREN.value}
)


class Callers:
    """Reads the tokens of users again, at most once in `FRESH_SECONDS` each."""

    def __init__(self, tokens: TableTokens, clock: Callable[[], float]) -> None:
        self._tokens = tokens
        self._clock = clock
        self._read: dict[str, tuple[float, Identity | None]] = {}

    def current(self, caller: Identity | None) -> Identity | None:
        """Return a caller with the current permissions, or None if the token is not valid now."""
        if caller is None or caller.permissions & _MACHINES:
            return caller
        if caller.person is not None or caller.run is not None:
            return caller  # an ID token, which we do not store
        now = self._clock()
        since, known = self._read.get(caller.token, (-FRESH_SECONDS, None))
        if not 0 <= now - since < FRESH_SECONDS:
            known = self._tokens.find(caller.token)
            if len(self._read) >= _MAX:
                self._read.clear()
            self._read[caller.token] = now, known
        return known

    def forget(self) -> None:
        """Read every token again, because this process has changed some."""
        self._read.clear()


def needed_permissions(permission: Permission) -> frozenset[Permission]:
    """Return the permissions that a caller needs for an operation with this one."""
    if permission is Permission.DEBUG:  # a shell can do all of this
        return frozenset({Permission.DEBUG, Permission.CHANGE_STATE, Permission.SECRETS})
    return frozenset({permission})


def is_member(tokens: TableTokens, caller: Identity) -> bool:
    """Return whether the caller is a member, instead of a program with a token of theirs.

    A browser's session that a login of the member created is the member too.
    """
    root, parent = membership_digest(caller.org, caller.user), caller.parent
    if caller.kind == "session" and parent not in {None, root}:
        login = tokens.find(str(parent))
        parent = login.parent if login is not None and login.kind == "login" else None
    return caller.kind not in PROGRAM_KINDS and parent == root


def is_program(tokens: TableTokens, people: TablePeople, caller: Identity) -> bool:
    """Return whether the caller is neither a login nor a session of a person.

    In an organisation without members, the logins that its administrator created are persons.
    """
    if is_member(tokens, caller):
        return False
    return caller.kind in PROGRAM_KINDS or bool(people.members(caller.org))


def current_user(records: Records, org: str, user: str) -> Identity | None:
    """Return a user with their current permissions, for launches while they are offline.

    None: the user left. A user of an installation without members has those of their own tokens
    that are valid now.
    """
    member = records.people.member(org, user)
    if member is not None:
        return Identity(org, user, permissions_of(member.role))
    if records.people.members(org):
        return None
    permissions = permissions_of_tokens(records, org, user)
    return None if permissions is None else Identity(org, user, permissions)


def permissions_of_tokens(records: Records, org: str, user: str) -> frozenset[str] | None:
    """Return the permissions of a user's valid tokens, or None without one."""
    known = [each.digest for each in records.tokens.list_by_org(org) if each.identity.user == user]
    valid = [one for one in map(records.tokens.find, known) if one is not None]
    permissions = frozenset[str]().union(*(identity.permissions for identity in valid))
    return permissions - PURPOSES if valid else None


def check_no_program(tokens: TableTokens, people: TablePeople, caller: Identity) -> None:
    """Check that no program with a member's token acts on the member's account.

    Raises:
        RefusedError: The caller is neither a login nor a session of the member.
    """
    if is_program(tokens, people, caller):
        raise RefusedError(
            "a program's token cannot change the membership, sessions or other tokens of its "
            "user; run 'conducto login' first"
        )


def check_decider(records: Records, caller: Identity, subject: str) -> None:
    """Check that a person decides an approval; raises `RefusedError` for a program's token.

    Args:
        caller: The caller.
        subject: The path of the node, or the id of the pipeline of an agent.
    """
    if is_program(records.tokens, records.people, caller):
        raise RefusedError(
            f"{subject}: a person decides, not a program's token; decide it in the web app, or run "
            "'conducto login' first"
        )
