"""The data about one user: export and erasure."""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Any

from chalicelib.api.store import TableConnections
from chalicelib.people.members import MemberTokens
from chalicelib.people.organisations import clear_secrets
from chalicelib.people.port import Identity, SecretVault
from chalicelib.records import Records
from chalicelib.run.deletion import REQUEST_SECONDS, DeletionRunningError
from chalicelib.run.port import DataFiles
from chalicelib.run.store import RECORDS_PAGE
from chalicelib.secrets.injection import user_scope
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.installation.names import user_directory
from conducto_core.people.model import (
    MAX_AUDIT_PAGE,
    AuditEntry,
    AuditParams,
    PersonalData,
    PersonErased,
    TokenListParams,
)
from conducto_core.run.model.responses import DataEntry

#: Limits of one part of an export: seconds, and items of its long lists.
PART_SECONDS = 10.0
PART_ITEMS = 1000
_PAGE = 200

#: The position after some items of an export (None: the end), their list, and the items.
Items = tuple[str | None, str, Sequence[Any]]


class PersonalDataOf:
    """The data about one user of the caller's organisation."""

    def __init__(
        self,
        caller: Identity,
        user: str,
        *,
        records: Records,
        connections: TableConnections,
        data: DataFiles,
        vault: SecretVault,
        clock: Callable[[], float],
    ) -> None:
        self._records, self._connections = records, connections
        self._data, self._vault, self._clock = data, vault, clock
        self._me = caller
        self._org = caller.org
        self._user = user

    def export(self, after: str | None = None) -> PersonalData:
        """Return the part of the stored data after a position; values of secrets are left out.

        Raises:
            NotFoundError: Nothing is stored about the user.
        """
        until = self._clock() + PART_SECONDS
        found: dict[str, list[Any]] = {"files": [], "pipelines": [], "audit": []}
        position: str | None = None
        for step in self._items(after):
            position, name, items = step
            found[name] += items
            if self._clock() > until or sum(map(len, found.values())) >= PART_ITEMS:
                break
        else:
            position = None
        first = self._account() if after is None else {}
        if after is None and position is None and not (any(found.values()) or any(first.values())):
            self._check_stored()
        lists = {name: tuple(items) for name, items in found.items()}
        return PersonalData(org=self._org, user=self._user, next=position, **first, **lists)

    def _account(self) -> dict[str, Any]:
        tokens = MemberTokens(self._records, self._connections, self._clock, self._me)
        mine = TokenListParams(user=self._user)
        invitations = self._records.people.invitations(self._org)
        return {
            "member": self._records.people.member(self._org, self._user),
            "invitations": tuple(
                one.invitation for one in invitations if one.invitation.user == self._user
            ),
            "tokens": (
                *tokens.listing(mine, sessions=False).tokens,
                *tokens.listing(mine, sessions=True).tokens,
            ),
            "secrets": tuple(sorted(self._vault.read(user_scope(self._org, self._user)))),
        }

    def _items(self, after: str | None) -> Iterator[Items]:
        """Yield the items after a position; some steps have none."""
        part, _, place = (after or "files#").partition("#")
        if part == "files":
            for position, files in self._files(place):
                yield f"files#{position}", "files", files
            place = ""
        if part in ("files", "pipelines"):
            for page, pipelines in self._pipelines(place or None):
                yield f"pipelines#{page}" if page else "audit#", "pipelines", pipelines
            place = ""
        for entry, entries in self._audit(place or None):
            yield f"audit#{entry}" if entry else None, "audit", entries

    def erase(self) -> PersonErased:
        """Erase the data about a former member; their pipelines stay, under their user id.

        Raises:
            RefusedError: The user is still a member, or has tokens.
            NotFoundError: Nothing is stored about the user.
            DeletionRunningError: Repeat the request.
        """
        org, user = self._org, self._user
        known = self._records.tokens.list_by_org(org)
        if self._records.people.member(org, user) or any(t.identity.user == user for t in known):
            raise RefusedError(
                f"{user} is still a member of {org}, or has tokens; remove them first with "
                f"'conducto members remove {user}'"
            )
        self._check_stored()
        # The same in a repeated request, which renames the rest.
        replacement = f"erased-{sha256(f'{org}|{user}'.encode()).hexdigest()[:8]}"
        end = self._clock() + REQUEST_SECONDS

        def check() -> None:
            if self._clock() > end:
                raise DeletionRunningError(user, "the audit log has many entries")

        try:
            self._data.forget(user_directory(org, user), end - self._clock())
        except TimeoutError as error:
            raise DeletionRunningError(user, "there are many files") from error
        self._records.cache.delete_private(org, user)
        secrets = clear_secrets(self._vault, user_scope(org, user))
        for record in self._records.people.invitations(org):
            if record.invitation.user == user:
                self._records.people.drop_invitation(org, record.digest)
                self._records.tokens.revoke_once(record.digest)
        audit = self._records.audit.rename(org, user, replacement, check)
        self._records.people.forget_former(org, user)
        return PersonErased(user=user, replacement=replacement, secrets=secrets, audit=audit)

    def _check_stored(self) -> None:
        secrets = self._vault.read(user_scope(self._org, self._user))
        if not (self._is_known() or secrets or self._has_items()):
            raise NotFoundError(f"nothing about a user {self._user!r} is stored in {self._org}")

    def _has_items(self) -> bool:
        files = any(found for _, found in self._files())
        return files or any(found for _, found in self._pipelines())

    def _is_known(self) -> bool:
        people, known = (
            self._records.people,
            self._records.tokens.list_by_org(self._org),
        )
        return (
            people.member(self._org, self._user) is not None
            or people.has_left(self._org, self._user)
            or any(token.identity.user == self._user for token in known)
        )

    def _files(self, last: str = "") -> Iterator[tuple[str, Sequence[str]]]:
        """Yield ``(position, files)`` of the user's data after a position.

        A position is the path of a file, or of a directory, with a slash, that is read next.
        """
        directory, slash, _ = last.rpartition("/")
        is_entered = bool(slash) and last.endswith("/")
        yield from self._below(directory, None if is_entered else last or None)
        while directory:
            above = directory.rpartition("/")[0]
            yield from self._below(above, directory)
            directory = above

    def _below(self, directory: str, after: str | None) -> Iterator[tuple[str, Sequence[str]]]:
        for entry in self._entries(user_directory(self._org, self._user), directory, after):
            if entry.kind == "directory":
                yield f"{entry.name}/", ()
                yield from self._below(entry.name, None)
            else:
                yield entry.name, (entry.name,)

    def _entries(self, directory: str, name: str, after: str | None) -> Iterator[DataEntry]:
        while True:
            try:
                page = self._data.entries(directory, name, after, _PAGE)
            except NotFoundError:
                return
            yield from page.entries
            after = page.next
            if after is None:
                return

    def _pipelines(self, after: str | None = None) -> Iterator[tuple[str | None, Sequence[str]]]:
        while True:
            page, after = self._records.store.records(self._org, after=after, limit=RECORDS_PAGE)
            owned = [record.id for record in page if record.owner == self._user]
            yield after, owned
            if after is None:
                return

    def _audit(self, after: str | None) -> Iterator[tuple[str | None, Sequence[AuditEntry]]]:
        while True:
            params = AuditParams(user=self._user, limit=MAX_AUDIT_PAGE, after=after)
            page = self._records.audit.page(self._org, params)
            after = page.next
            yield after, page.entries
            if after is None:
                return
