"""ID tokens: which are accepted, and the attacks that are not."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from chalicelib.api.authorizer import from_context, identify_with_provider, to_context
from chalicelib.people.oidc import MAX_AUTH_AGE, REFRESH_SECONDS, Issuer, OidcTokens
from chalicelib.people.port import InvalidIdTokenError
from support.id_tokens import API, CI, CLIENT, KEY, NOW, OTHER, PERSON, POOL, RUN, Provider, signed


@pytest.fixture
def provider() -> Provider:
    return Provider()


def refusal(provider: Provider, token: str) -> str:
    with pytest.raises(InvalidIdTokenError) as raised:
        provider.tokens.person(token)
    return str(raised.value)


def test_id_token_names_the_person(provider: Provider) -> None:
    person = provider.tokens.person(signed(PERSON))
    assert (person.issuer, person.subject, person.email) == (POOL, "person-1", "ann@example.com")
    assert person.expires == NOW + 3600


@pytest.mark.parametrize("verified", [False, "false", None, 1, "yes"])
def test_unverified_address_is_ignored(provider: Provider, verified: object) -> None:
    assert provider.tokens.person(signed({**PERSON, "email_verified": verified})).email == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"iss": "https://evil.invalid"}, "issuer"),
        ({"aud": "another-client"}, "udience"),
        ({"token_use": "access"}, "token_use"),
        ({"exp": NOW - 61}, "expired"),
        ({"iat": NOW + 61}, "not valid yet"),
        ({"nbf": NOW + 61}, "not valid yet"),
        ({"auth_time": NOW - MAX_AUTH_AGE - 1}, "too long ago"),
        ({"auth_time": None}, "auth_time"),
        ({"sub": ""}, "sub"),
        ({"exp": "soon"}, "exp"),
    ],
)
def test_wrong_claims_are_refused(provider: Provider, change: Any, reason: str) -> None:
    assert reason in refusal(provider, signed({**PERSON, **change}))


def test_clocks_may_differ_by_a_minute(provider: Provider) -> None:
    for now in (NOW - 59, NOW + 59):
        provider.now = now
        assert provider.tokens.person(signed(PERSON)).subject == "person-1"


def test_unsigned_token_is_refused(provider: Provider) -> None:
    assert "'none'" in refusal(provider, jwt.encode(PERSON, None, algorithm="none"))


def test_token_signed_with_the_public_key_as_secret_is_rejected(provider: Provider) -> None:
    public = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(jwt.InvalidKeyError):  # the library itself does not sign with it
        signed(PERSON, public, algorithm="HS256")
    assert "'HS256'" in refusal(provider, signed(PERSON, public.hex(), algorithm="HS256"))


def test_token_of_another_key_is_refused(provider: Provider) -> None:
    assert "erification failed" in refusal(provider, signed(PERSON, OTHER))


def test_rotated_key_is_read_once_a_minute(provider: Provider) -> None:
    provider.tokens.person(signed(PERSON))
    provider.keys = {"two": OTHER}
    rotated = signed(PERSON, OTHER, "two")
    assert "no key" in refusal(provider, rotated)
    for made_up in range(20):
        assert "no key" in refusal(provider, signed(PERSON, OTHER, f"made-up-{made_up}"))
    assert provider.fetched == 1
    provider.now += REFRESH_SECONDS
    assert provider.tokens.person(rotated).subject == "person-1"
    assert "no key" in refusal(provider, signed(PERSON))  # the old key is revoked
    assert provider.fetched == 2


def test_keys_that_cannot_be_read_are_a_refusal() -> None:
    def fetch(_url: str) -> Any:
        raise TimeoutError("timed out")

    people = Issuer(POOL, lambda: [CLIENT], fetch)
    tokens = OidcTokens(people, people, lambda: NOW)
    with pytest.raises(InvalidIdTokenError, match="no key"):
        tokens.person(signed(PERSON))


def test_ci_token_names_the_run(provider: Provider) -> None:
    run = provider.tokens.run(signed({**RUN, "environment": "production"}))
    assert (run.repository, run.ref, run.environment) == ("123", "refs/heads/main", "production")


@pytest.mark.parametrize("event", ["pull_request_target", "workflow_run"])
def test_runs_for_the_code_of_strangers_are_refused(provider: Provider, event: str) -> None:
    with pytest.raises(InvalidIdTokenError, match=event):
        provider.tokens.run(signed({**RUN, "event_name": event}))


def test_tokens_of_people_and_of_runs_are_not_exchanged(provider: Provider) -> None:
    with pytest.raises(InvalidIdTokenError):
        provider.tokens.run(signed({**RUN, "iss": POOL, "aud": CLIENT}))
    with pytest.raises(InvalidIdTokenError):
        provider.tokens.person(signed({**PERSON, "iss": CI, "aud": API}))


def test_id_token_permits_only_signing_in(provider: Provider) -> None:
    for claims in (PERSON, RUN):
        caller = identify_with_provider(provider.tokens, signed(claims))
        assert caller is not None
        assert caller.permissions == {"sign_in"}
        assert (caller.org, caller.user) == ("", "")
        assert from_context(to_context(caller)) == caller


def test_other_tokens_are_rejected_without_a_request(provider: Provider) -> None:
    for token in ("", "cdo_x", "a.b", "a.b.c", f"{'a' * 4000}.{'b' * 4000}.{'c' * 4000}"):
        assert identify_with_provider(provider.tokens, token) is None
    assert provider.fetched == 0


def test_installation_without_a_provider_accepts_no_person() -> None:
    provider = Provider()
    tokens = OidcTokens(None, Issuer(CI, lambda: [API], provider.fetch), lambda: NOW)
    assert tokens.configured is False
    assert identify_with_provider(tokens, signed(PERSON)) is None


def test_audience_is_read_once_a_minute(provider: Provider) -> None:
    read: list[float] = []

    def audience() -> list[str]:
        read.append(provider.now)
        return [CLIENT]

    people = Issuer(POOL, audience, provider.fetch)
    tokens = OidcTokens(people, Issuer(CI, lambda: [API], provider.fetch), lambda: provider.now)
    for number in range(20):  # with a key that exists, and a wrong signature
        with pytest.raises(InvalidIdTokenError):
            tokens.person(signed({**PERSON, "jti": str(number)}, OTHER))
    assert read == [NOW]
    provider.now += REFRESH_SECONDS
    assert tokens.person(signed(PERSON)).subject == "person-1"
    assert read == [NOW, NOW + REFRESH_SECONDS]
