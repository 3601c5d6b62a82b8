"""The organisations of a person: list, create, switch, delete."""

from collections.abc import Callable, Iterator

from chalicelib.api.callers import is_member
from chalicelib.api.followers import Followers
from chalicelib.api.store import TableConnections
from chalicelib.errors import ConflictError
from chalicelib.events.handlers import connect
from chalicelib.events.port import EventPorts
from chalicelib.logs.port import Storage
from chalicelib.people.members import member_login
from chalicelib.people.port import Identity, SecretVault, VerifiedPerson
from chalicelib.people.tokens import membership_digest, trust_digest
from chalicelib.records import Records
from chalicelib.remote.links import forget_all
from chalicelib.run.deletion import REQUEST_SECONDS, DeletionRunningError, PipelineDeletion
from chalicelib.run.processor import CommandProcessor
from chalicelib.run.store import all_records
from chalicelib.secrets.injection import org_scope, user_scope
from chalicelib.test_results.handlers import history_key
from chalicelib.triggers.tokens import app_scope, trigger_scope
from conducto_core.billing.rules import LIVE, MAX_UNPAID
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.installation.names import contents_directory, user_directory
from conducto_core.people.model import (
    DeleteOrganisationParams,
    Member,
    MemberLogin,
    Organisation,
    OrganisationDeleted,
    OrganisationList,
    Role,
)
from conducto_core.programs.rules.programs import program_of
from conducto_core.run.launching import check_deletable
from conducto_core.test_results.rules import program_id

#: Maximum number of running pipelines that an error message names.
_NAMED = 5


class Organisations:
    """The organisations of one caller."""

    def __init__(
        self,
        caller: Identity,
        engine: CommandProcessor,
        deletion: PipelineDeletion,
        *,
        records: Records,
        connections: TableConnections,
        storage: Storage,
        vault: SecretVault,
        events: EventPorts,
        clock: Callable[[], float],
        has_billing: bool,
    ) -> None:
        self._me, self._engine, self._deletion = caller, engine, deletion
        self._records, self._connections, self._storage = records, connections, storage
        self._vault, self._events, self._clock = vault, events, clock
        self._has_billing = has_billing

    def listing(self) -> OrganisationList:
        """Return the organisations of the person; without an identity provider, only this one."""
        known = dict(self._memberships()) | {self._me.org: self._me.user}
        return OrganisationList(
            organisations=tuple(self._one(org, user) for org, user in sorted(known.items()))
        )

    def _memberships(self) -> Iterator[tuple[str, str]]:
        person = self._records.people.person(self._me.org, self._me.user)
        if person is None or not self._is_login():
            return
        for org, user in self._records.identities.memberships(person).items():
            if self._records.people.member(org, user) is not None:
                yield org, user

    def _is_login(self) -> bool:
        """Return whether the caller is the person, instead of a program with a token of theirs."""
        return is_member(self._records.tokens, self._me)

    def _one(self, org: str, user: str) -> Organisation:
        member = self._records.people.member(org, user)
        role = None if member is None else member.role
        return Organisation(name=org, user=user, role=role, current=org == self._me.org)

    def create(self, name: str) -> MemberLogin:
        """Create an organisation whose owner is the caller; raises `RefusedError`."""
        if not self._is_login():
            raise RefusedError("a program's token cannot create an organisation; log in first")
        taken = RefusedError(f"an organisation named {name!r} exists or existed; choose another")
        # An organisation may consist of tokens and pipelines only (`conducto admin`).
        if self._records.tokens.list_by_org(name) or self._records_page(name):
            raise taken
        here, user = self._me.org, self._me.user
        known = self._records.people.member(here, user)
        owner = Member(
            user=user,
            role=Role.OWNER,
            joined=self._clock(),
            email=None if known is None else known.email,
        )
        person = self._records.people.person(here, user)
        self._check_unpaid(person)
        try:
            self._records.people.join(name, owner, person=person, first=True)
        except ConflictError as error:
            raise taken from error
        return self._login(name, user, Role.OWNER)

    def _check_unpaid(self, person: VerifiedPerson | None) -> None:
        """Check that the free plans of one person do not add up to a large one."""
        if not self._has_billing:
            return
        if person is None:
            raise RefusedError(
                "without an identity provider, only the administrator of the AWS account creates "
                "organisations: conducto admin invite --org NAME --email ADDRESS"
            )
        owned = [org for org, user in self._memberships() if self._is_unpaid(org, user)]
        if len(owned) >= MAX_UNPAID:
            raise RefusedError(
                f"you own {len(owned)} organisations without a subscription, which is the "
                f"maximum: {', '.join(owned)}; subscribe with one of them or delete it"
            )

    def _is_unpaid(self, org: str, user: str) -> bool:
        member = self._records.people.member(org, user)
        owns = member is not None and member.role is Role.OWNER
        return owns and not self._records.orgs.in_use(org).paying

    def switch(self, org: str) -> MemberLogin:
        """Return a token for another organisation of the person; end a browser's session.

        Raises:
            RefusedError: It is the caller's organisation, or the caller has fewer permissions than
                the person.
            NotFoundError: The person is not a member of it, or it does not exist.
        """
        if org == self._me.org:
            raise RefusedError(f"this login is for {org} already")
        user = dict(self._memberships()).get(org)
        member = None if user is None else self._records.people.member(org, user)
        if member is None:
            raise NotFoundError(
                f"you are not a member of {org!r} with this login; 'conducto org list' lists your "
                "organisations, and 'conducto login --profile NAME' logs in to another one"
            )
        self._check_complete()
        login = self._login(org, member.user, member.role)
        if self._me.kind == "session":  # one session becomes another one
            self._records.tokens.revoke_once(self._me.token)
        return login

    def _check_complete(self) -> None:
        root = self._records.tokens.find(membership_digest(self._me.org, self._me.user))
        if root is None or not root.permissions <= self._me.permissions:
            raise RefusedError("a token with fewer permissions than its user cannot switch")

    def _login(self, org: str, user: str, role: Role) -> MemberLogin:
        browser = self._me.kind == "session"
        return member_login(self._records, self._clock, org, user, role, browser=browser)

    def delete(self, params: DeleteOrganisationParams) -> OrganisationDeleted:
        """Delete the caller's organisation.

        Schedules, pipelines, data and secrets are deleted first, members and tokens last: an
        interrupted deletion is repeated by the owner.

        Raises:
            NotFoundError: It is not the caller's organisation.
            RefusedError: The name is not confirmed, it has a subscription, or pipelines run.
            DeletionRunningError: Repeat the request.
        """
        org = self._me.org
        if params.org != org:
            raise NotFoundError(f"this token belongs to the organisation {org!r} only")
        if params.confirm != org:
            raise RefusedError(f"confirm the deletion with the name of the organisation: {org}")
        self._check_unsubscribed()
        self._check_at_rest()
        self._delete_schedules()
        deleted = self._delete_pipelines()
        self._delete_data()
        self._end_tokens()
        return OrganisationDeleted(name=org, pipelines=deleted)

    def _check_unsubscribed(self) -> None:
        status = self._records.orgs.in_use(self._me.org).billing.status
        if status in LIVE:
            raise RefusedError(
                f"{self._me.org} has a subscription ({status.value}); cancel it with 'conducto "
                "billing portal', then repeat"
            )

    def _check_at_rest(self) -> None:
        pipelines = self._records.store.open_pipelines()
        running = [one for org, one in pipelines if org == self._me.org and self._runs(one)]
        if running:
            more = f" and {len(running) - _NAMED} more" if len(running) > _NAMED else ""
            raise RefusedError(
                f"{self._me.org} has running pipelines: {', '.join(running[:_NAMED])}{more}; wait "
                "for them or kill them with 'conducto kill ID', then repeat"
            )

    def _runs(self, pipeline_id: str) -> bool:
        try:
            with self._engine.reading(self._me.org, pipeline_id) as live:
                check_deletable(live)
        except RefusedError:
            return True
        except NotFoundError:
            pass
        return False

    def _delete_schedules(self) -> None:
        """Delete the schedules, before they launch more pipelines."""
        for schedule in self._events.schedules.list_by_name(self._me.org):
            if schedule.on is not None:
                connect(
                    self._events,
                    self._vault,
                    self._me.org,
                    schedule.name,
                    None,
                    former=schedule.on,
                )
            self._events.schedules.delete(self._me.org, schedule.name)

    def _delete_pipelines(self) -> int:
        end = self._clock() + REQUEST_SECONDS
        count = 0
        for record in list(all_records(self._records.store, self._me.org)):
            if self._clock() > end:
                raise DeletionRunningError(self._me.org, f"{count} pipelines were deleted so far")
            self._deletion.request(self._me.org, record.id, self._me.user)
            history = history_key(self._me.org, program_id(program_of(record)))
            self._storage.blobs.delete(history)
            count += 1
        return count

    def _delete_data(self) -> None:
        org = self._me.org
        users = {member.user for member in self._records.people.members(org)}
        users |= {token.identity.user for token in self._records.tokens.list_by_org(org)}
        users |= set(self._records.people.former(org))
        end = self._clock() + REQUEST_SECONDS
        for user in sorted(users):
            clear_secrets(self._vault, user_scope(org, user))
            try:
                self._storage.data.forget(user_directory(org, user), end - self._clock())
            except TimeoutError as error:
                raise DeletionRunningError(org, f"{user} has many files") from error
        self._records.cache.delete_all(org)
        try:
            self._storage.data.forget(contents_directory(org), end - self._clock())
        except TimeoutError as error:
            raise DeletionRunningError(org, "the cache has many files") from error
        for trigger in self._records.triggers.list_by_name(org):
            clear_secrets(self._vault, trigger_scope(org, trigger.name))
            self._records.triggers.delete(org, trigger.name)
        for place in self._records.queue.list_by_name(org):
            self._records.queue.delete(org, place.name)
        for app in self._records.apps.list_by_name(org):
            self._records.apps.delete(org, app.name)
        clear_secrets(self._vault, app_scope(org))
        for rule in self._records.rules.list_by_name(org):
            self._records.rules.delete(org, rule.name)
        for quarantine in self._records.quarantines.list_by_name(org):
            self._records.quarantines.delete(org, quarantine.name)
        clear_secrets(self._vault, org_scope(org))

    def _end_tokens(self) -> None:
        org = self._me.org
        known = [token.digest for token in self._records.tokens.list_by_org(org)]
        forget_all(self._records, self._connections, self._clock, org)
        for trust in self._records.trusts.list_by_name(org):
            self._records.tokens.revoke_once(trust_digest(org, trust.name))
            self._records.trusts.delete(org, trust.name)
        for member in self._records.people.members(org):
            person = self._records.people.person(org, member.user)
            if person is not None:
                self._records.identities.unlink(person.issuer, person.subject, org)
        self._records.people.dissolve(org)
        Followers(self._connections, self._records.tokens).revoke(*known)

    def _records_page(self, org: str) -> bool:
        return bool(self._records.store.records(org, after=None, limit=1)[0])


def clear_secrets(vault: SecretVault, scope: str) -> int:
    """Delete the secrets of a scope; return their number."""
    kept, version = vault.read_version(scope)
    if version:
        vault.replace(scope, {}, version)
    return len(kept)
