"""An identity provider in memory."""

from chalicelib.people.port import InvalidIdTokenError, VerifiedPerson, VerifiedRun


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
