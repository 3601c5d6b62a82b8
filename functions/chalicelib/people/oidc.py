"""ID tokens of OpenID providers: of people (Cognito, or another one) and of CI runs (GitHub).

The rules are those of OpenID Connect Core 1.0, section 3.1.3.7, restricted to RS256, and of
"Verifying a JSON Web Token" in Cognito's documentation (``token_use``).
"""

import json
import logging
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chalicelib.people.port import InvalidIdTokenError, VerifiedPerson, VerifiedRun

logger = logging.getLogger(__name__)

#: The issuer of ID tokens of GitHub Actions.
GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
#: Seconds within which a person must have signed in at the provider.
MAX_AUTH_AGE = 300.0
#: Seconds that the provider's clock may differ from that of the function.
LEEWAY = 60.0
#: Seconds between two requests for a provider's keys, so that made-up key ids cause few of them.
REFRESH_SECONDS = 60.0
_DISCOVERY = "/.well-known/openid-configuration"
_TIMEOUT = 5.0
#: Events of a workflow that run with the rights of the repository, but may run code from a fork.
_REFUSED_EVENTS = frozenset({"pull_request_target", "workflow_run"})


@dataclass(slots=True)
class Issuer:
    """A provider whose ID tokens are accepted, with its cached keys.

    Attributes:
        url: The issuer, exactly as in its tokens.
        audience: Returns the audiences of which a token must name one.
        fetch: Returns the JSON document at a URL.
    """

    url: str
    audience: Callable[[], Sequence[str]]
    fetch: Callable[[str], Any]
    _keys: dict[str, Any] = field(default_factory=dict, init=False)
    _fetched: float | None = field(default=None, init=False)
    _audiences: Sequence[str] = field(default=(), init=False)
    _asked: float | None = field(default=None, init=False)

    def audiences(self, now: float) -> Sequence[str]:
        """Return the audiences; they are read once a minute, because anybody can cause it."""
        if self._asked is None or now - self._asked >= REFRESH_SECONDS:
            self._asked = now
            self._audiences = self.audience()
        return self._audiences

    def key(self, key_id: str, now: float) -> Any:
        """Return a public key; raises `InvalidIdTokenError` for an unknown one."""
        old = self._fetched is None or now - self._fetched >= REFRESH_SECONDS
        if key_id not in self._keys and old:
            self._fetched = now
            self._keys = self._published()
        try:
            return self._keys[key_id]
        except KeyError:
            raise InvalidIdTokenError(f"{self.url} has no key {key_id!r}") from None

    def _published(self) -> dict[str, Any]:
        import jwt  # noqa: PLC0415  most processes never verify an ID token

        try:
            found = self.fetch(self.url.rstrip("/") + _DISCOVERY)
            keys = jwt.PyJWKSet.from_dict(self.fetch(found["jwks_uri"]))
        except (OSError, ValueError, KeyError, jwt.PyJWTError) as error:
            logger.warning("cannot read the keys of %s: %s", self.url, error)
            return self._keys
        return {str(key.key_id): key.key for key in keys.keys if key.key_type == "RSA"}


class OidcTokens:
    """A `chalicelib.people.port.IdentityProvider`.

    Args:
        people: The provider with which people sign in; None: there is none.
        runs: The CI service.
        clock: Seconds since the epoch.
    """

    def __init__(self, people: Issuer | None, runs: Issuer, clock: Callable[[], float]) -> None:
        self._people = people
        self._runs = runs
        self._clock = clock

    @property
    def configured(self) -> bool:
        return self._people is not None

    def person(self, id_token: str) -> VerifiedPerson:
        if self._people is None:
            raise InvalidIdTokenError("this installation has no identity provider")
        claims = self._claims(self._people, id_token)
        if claims.get("token_use") != "id":
            raise InvalidIdTokenError("it is not an ID token (token_use)")
        signed_in = _number(claims, "auth_time")
        if self._clock() - signed_in > MAX_AUTH_AGE:
            raise InvalidIdTokenError("the person signed in too long ago (auth_time)")
        # Cognito writes it as a string for some federated providers.
        verified = claims.get("email_verified") is True or claims.get("email_verified") == "true"
        return VerifiedPerson(
            issuer=self._people.url,
            subject=_text(claims, "sub"),
            email=_text(claims, "email").strip().lower() if verified else "",
            expires=_number(claims, "exp"),
        )

    def run(self, id_token: str) -> VerifiedRun:
        claims = self._claims(self._runs, id_token)
        event = _text(claims, "event_name")
        if event in _REFUSED_EVENTS:
            raise InvalidIdTokenError(f"runs of the event {event!r} are refused")
        return VerifiedRun(
            issuer=self._runs.url,
            repository=_text(claims, "repository_id"),
            ref=_text(claims, "ref"),
            environment=str(claims.get("environment", "")),
            event=event,
            subject=_text(claims, "sub"),
            expires=_number(claims, "exp"),
        )

    def _claims(self, issuer: Issuer, id_token: str) -> Mapping[str, Any]:
        import jwt  # noqa: PLC0415  most processes never verify an ID token

        now = self._clock()
        try:
            header = jwt.get_unverified_header(id_token)
            if header.get("alg") != "RS256":  # before the key is chosen by the token itself
                raise InvalidIdTokenError(f"the algorithm {header.get('alg')!r} is not accepted")
            claims: dict[str, Any] = jwt.decode(
                id_token,
                issuer.key(str(header.get("kid", "")), now),
                algorithms=["RS256"],
                audience=issuer.audiences(now),
                issuer=issuer.url,
                options={
                    "require": ["iss", "aud", "exp", "iat", "sub"],
                    # Checked below, by our clock.
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.PyJWTError as error:
            raise InvalidIdTokenError(str(error)) from error
        if _number(claims, "exp") + LEEWAY <= now:
            raise InvalidIdTokenError("it has expired")
        if max(_number(claims, "iat"), float(claims.get("nbf", 0))) - LEEWAY > now:
            raise InvalidIdTokenError("it is not valid yet")
        return claims


def fetch_json(url: str) -> Any:
    """Return the JSON document at a URL; raises `OSError` or `ValueError`."""
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:  # noqa: S310  configured URL
        return json.load(response)


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidIdTokenError(f"it has no {name}")
    return value


def _number(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidIdTokenError(f"it has no {name}")
    return float(value)
