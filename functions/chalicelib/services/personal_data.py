"""The data about one user: export and erasure."""

from collections.abc import Iterator
from hashlib import sha256
from itertools import islice

from chalicelib.ports.identity import Identity
from chalicelib.ports.journal import all_records
from chalicelib.services.deletion import REQUEST_SECONDS, DeletionRunningError
from chalicelib.services.member_tokens import MemberTokens
from chalicelib.services.organisations import clear_secrets
from chalicelib.services.processor import CommandProcessor
from chalicelib.services.secret_injection import user_scope
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.model.deployment import user_directory
from conducto_core.model.people import (
    MAX_AUDIT_PAGE,
    AuditEntry,
    AuditParams,
    PersonalData,
    PersonErased,
    TokenListParams,
)
from conducto_core.model.responses import DataEntry

#: Maximum number of file paths in an export.
MAX_FILES = 10_000
_PAGE = 200


class PersonalDataOf:
    """The data about one user of the caller's organisation."""

    def __init__(self, engine: CommandProcessor, caller: Identity, user: str) -> None:
        self._engine = engine
        self._cloud = engine.cloud
        self._me = caller
        self._org = caller.org
        self._user = user

    def export(self) -> PersonalData:
        """Return everything that is stored about the user; values of secrets are left out."""
        self._check_stored()
        tokens = MemberTokens(self._cloud, self._me)
        mine = TokenListParams(user=self._user)
        invitations = self._cloud.people.invitations(self._org)
        return PersonalData(
            org=self._org,
            user=self._user,
            member=self._cloud.people.member(self._org, self._user),
            invitations=tuple(
                one.invitation for one in invitations if one.invitation.user == self._user
            ),
            tokens=(
                *tokens.listing(mine, sessions=False).tokens,
                *tokens.listing(mine, sessions=True).tokens,
            ),
            secrets=tuple(sorted(self._cloud.vault.read(user_scope(self._org, self._user)))),
            files=tuple(islice(self._files(), MAX_FILES)),
            pipelines=tuple(self._pipelines()),
            audit=tuple(self._audit()),
        )

    def erase(self) -> PersonErased:
        """Erase the data about a former member; their pipelines stay, under their user id.

        Raises:
            RefusedError: The user is still a member, or has tokens.
            NotFoundError: Nothing is stored about the user.
            DeletionRunningError: Repeat the request.
        """
        org, user = self._org, self._user
        known = self._cloud.tokens.known(org)
        if self._cloud.people.member(org, user) or any(t.identity.user == user for t in known):
            raise RefusedError(
                f"{user} is still a member of {org}, or has tokens; remove them first with "
                f"'conducto members remove {user}'"
            )
        self._check_stored()
        # The same in a repeated request, which renames the rest.
        replacement = f"erased-{sha256(f'{org}|{user}'.encode()).hexdigest()[:8]}"
        end = self._cloud.clock() + REQUEST_SECONDS

        def check() -> None:
            if self._cloud.clock() > end:
                raise DeletionRunningError(user, "the audit log has many entries")

        try:
            self._cloud.data.forget(user_directory(org, user), end - self._cloud.clock())
        except TimeoutError as error:
            raise DeletionRunningError(user, "there are many files") from error
        secrets = clear_secrets(self._engine, user_scope(org, user))
        for record in self._cloud.people.invitations(org):
            if record.invitation.user == user:
                self._cloud.people.drop_invitation(org, record.digest)
                self._cloud.tokens.take(record.digest)
        audit = self._cloud.audit.rename(org, user, replacement, check)
        self._cloud.people.forget_former(org, user)
        return PersonErased(user=user, replacement=replacement, secrets=secrets, audit=audit)

    def _check_stored(self) -> None:
        secrets = self._cloud.vault.read(user_scope(self._org, self._user))
        found = self._is_known() or secrets or any(self._files()) or any(self._pipelines())
        if not found:
            raise NotFoundError(f"nothing about a user {self._user!r} is stored in {self._org}")

    def _is_known(self) -> bool:
        people, known = self._cloud.people, self._cloud.tokens.known(self._org)
        return (
            people.member(self._org, self._user) is not None
            or people.has_left(self._org, self._user)
            or any(token.identity.user == self._user for token in known)
        )

    def _files(self) -> Iterator[str]:
        """Yield the paths of the user's data."""
        directory = user_directory(self._org, self._user)
        waiting = [""]
        while waiting:
            for entry in self._entries(directory, waiting.pop()):
                if entry.kind == "directory":
                    waiting.append(entry.name)
                else:
                    yield entry.name

    def _entries(self, directory: str, name: str) -> Iterator[DataEntry]:
        after: str | None = None
        while True:
            try:
                page = self._cloud.data.entries(directory, name, after, _PAGE)
            except NotFoundError:
                return
            yield from page.entries
            after = page.next
            if after is None:
                return

    def _pipelines(self) -> Iterator[str]:
        for record in all_records(self._cloud.store, self._org):
            if record.owner == self._user:
                yield record.id

    def _audit(self) -> Iterator[AuditEntry]:
        params = AuditParams(user=self._user, limit=MAX_AUDIT_PAGE)
        while True:
            page = self._cloud.audit.page(self._org, params)
            yield from page.entries
            if page.next is None:
                return
            params = params.model_copy(update={"after": page.next})
