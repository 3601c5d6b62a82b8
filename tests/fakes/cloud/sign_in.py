"""People at identity providers, used and ID tokens, in memory."""

from collections.abc import Mapping

from chalicelib.people.port import InvalidIdTokenError, VerifiedPerson, VerifiedRun


class FakeIdentities:
    """A fake `Identities`."""

    def __init__(self) -> None:
        self._users: dict[tuple[str, str], dict[str, str]] = {}
        self._used: set[str] = set()

    def memberships(self, person: VerifiedPerson) -> Mapping[str, str]:
        return dict(sorted(self._users.get((person.issuer, person.subject), {}).items()))

    def link(self, person: VerifiedPerson, org: str, user: str) -> None:
        self._users.setdefault((person.issuer, person.subject), {})[org] = user

    def unlink(self, issuer: str, subject: str, org: str) -> None:
        self._users.get((issuer, subject), {}).pop(org, None)

    def consume(self, digest: str, expires: float) -> bool:
        known = digest in self._used
        self._used.add(digest)
        return not known


class FakeIdentityProvider:
    """A fake `IdentityProvider`: its ID tokens are the keys of `people` and `runs`.

    Attributes:
        configured: Whether people sign in with it.
    """

    def __init__(self) -> None:
        self.configured = False
        self.people: dict[str, VerifiedPerson] = {}
        self.runs: dict[str, VerifiedRun] = {}

    def person(self, id_token: str) -> VerifiedPerson:
        try:
            return self.people[id_token]
        except KeyError:
            raise InvalidIdTokenError("unknown person") from None

    def run(self, id_token: str) -> VerifiedRun:
        try:
            return self.runs[id_token]
        except KeyError:
            raise InvalidIdTokenError("unknown run") from None
