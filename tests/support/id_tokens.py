"""An identity provider of tests, with keys of its own, and its ID tokens."""

import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from chalicelib.people.oidc import Issuer, OidcTokens

POOL, CLIENT = "https://identity.invalid/pool", "client-1"
CI, API = "https://ci.invalid", "https://api.invalid/api"
NOW = 1_800_000_000.0
KEY, OTHER = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
PERSON = {
    "iss": POOL,
    "aud": CLIENT,
    "sub": "person-1",
    "token_use": "id",
    "email": "Ann@Example.com",
    "email_verified": True,
    "iat": NOW,
    "auth_time": NOW,
    "exp": NOW + 3600,
}
RUN = {
    "iss": CI,
    "aud": API,
    "sub": "repo:org/name:ref:refs/heads/main",
    "repository_id": "123",
    "ref": "refs/heads/main",
    "event_name": "push",
    "iat": NOW,
    "exp": NOW + 300,
}


class Provider:
    """A provider of ID tokens with published keys.

    Attributes:
        keys: ``{key id: key}``, as published.
        fetched: Number of requests for the keys.
        now: Seconds since the epoch.
    """

    def __init__(self) -> None:
        self.keys: dict[str, rsa.RSAPrivateKey] = {"one": KEY}
        self.fetched = 0
        self.now = NOW
        self.tokens = OidcTokens(
            Issuer(POOL, lambda: [CLIENT], self.fetch),
            Issuer(CI, lambda: [API], self.fetch),
            lambda: self.now,
        )

    def fetch(self, url: str) -> Any:
        if url.endswith("/.well-known/openid-configuration"):
            return {"jwks_uri": "https://identity.invalid/keys"}
        self.fetched += 1
        keys = [_jwk(key_id, key) for key_id, key in self.keys.items()]
        return {"keys": keys}


def _jwk(key_id: str, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    return {
        **json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())),
        "kid": key_id,
        "use": "sig",
    }


def signed(
    claims: dict[str, Any], key: Any = KEY, key_id: str = "one", algorithm: str = "RS256"
) -> str:
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": key_id})
