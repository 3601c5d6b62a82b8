"""Members in memory."""

from collections.abc import Sequence

from tests.fakes.cloud.identity import FakeTokens

from chalicelib.domain.tokens import membership_digest
from chalicelib.ports.errors import ConflictError
from chalicelib.ports.identity import Identity
from conducto_core.model.people import Member
from conducto_core.semantics.roles import permissions_of


class FakePeople:
    """A fake `People`."""

    def __init__(self, tokens: FakeTokens) -> None:
        self._tokens = tokens
        self._members: dict[str, dict[str, Member]] = {}

    def members(self, org: str) -> Sequence[Member]:
        return [member for _, member in sorted(self._members.get(org, {}).items())]

    def member(self, org: str, user: str) -> Member | None:
        return self._members.get(org, {}).get(user)

    def join(self, org: str, member: Member) -> None:
        if self.member(org, member.user) is not None:
            raise ConflictError(f"{member.user} is already a member of {org}")
        self._members.setdefault(org, {})[member.user] = member
        root = Identity(org, member.user, permissions_of(member.role))
        self._tokens.put(membership_digest(org, member.user), root, expires=None)
