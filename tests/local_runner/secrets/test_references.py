"""Secrets whose values are in other stores."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.fakes.pipelines import MemorySecrets

from conducto_core.errors import RefusedError
from conducto_core.secrets.handlers import put
from conducto_core.secrets.model import PutSecrets, SecretValue
from conducto_core.secrets.port import SecretName, SecretStoreError, StoredSecret
from conducto_core.secrets.rules import Reference, cache_refusal, check_allowed, parse_reference
from conducto_local.secrets.injection import SecretProvider
from conducto_local.secrets.references import SecretReferences, command_of

if TYPE_CHECKING:
    from collections.abc import Sequence

VALUE = "a-very-secret-value"


class Programs:
    """Programs that print a value; ``calls`` are those that ran."""

    def __init__(self, output: bytes = VALUE.encode(), code: int = 0, errors: bytes = b"") -> None:
        self.calls: list[list[str]] = []
        self.result = code, output, errors
        self.time = 0.0

    def run(self, command: Sequence[str]) -> tuple[int, bytes, bytes]:
        self.calls.append(list(command))
        return self.result

    def references(self) -> SecretReferences:
        return SecretReferences(self.run, lambda: self.time)


def provider(programs: Programs, *secrets: StoredSecret) -> SecretProvider:
    store = MemorySecrets()
    store.put(secrets)
    return SecretProvider(store, references=programs.references())


def by_reference(key: str, reference: str, *, mask: bool = True) -> StoredSecret:
    return StoredSecret(SecretName("user", key), "", mask, 1.0, reference)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (
            "aws-sm:arn:aws:secretsmanager:eu-west-1:1:secret:prod/db-AbCdEf?version=3f#password",
            (
                "aws secretsmanager get-secret-value --secret-id "
                "arn:aws:secretsmanager:eu-west-1:1:secret:prod/db-AbCdEf --version-id 3f "
                "--region eu-west-1 --query SecretString --output text"
            ),
        ),
        (
            "ssm:/prod/db?version=3",
            (
                "aws ssm get-parameter --with-decryption --name /prod/db:3 "
                "--query Parameter.Value --output text"
            ),
        ),
        ("vault:secret/prod#password", "vault kv get -field=password secret/prod"),
        (
            "vault:secret/prod?version=2#password",
            "vault kv get -field=password -version=2 secret/prod",
        ),
        ("op://Private/db/password", "op read --no-newline op://Private/db/password"),
    ],
)
def test_a_reference_is_read_by_the_program_of_its_store(text: str, command: str) -> None:
    assert command_of(parse_reference(text)) == command.split()


@pytest.mark.parametrize(
    "text",
    [
        *("", "password", "gcp:x", "aws-sm:", "ssm:-x", "ssm:a b", "ssm:/a?version=", "ssm:/a#b"),
        *("vault:secret", "vault:secret#", "op://a", "op://a/b/c#d", "op://a/b/c?version=1"),
        *("aws-sm:x;rm", "aws-sm:$(id)", "aws-sm:x#a\nb", "ssm:" + "a" * 600),
    ],
)
def test_an_invalid_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"possible are|names no field|remove"):
        parse_reference(text)


def test_keys_and_versions_are_parts_of_a_reference() -> None:
    assert parse_reference("aws-sm:prod/db#a.b") == Reference("aws-sm", "prod/db", None, "a.b")


async def test_a_command_gets_the_value_and_its_output_hides_it() -> None:
    programs = Programs()
    secrets = provider(programs, by_reference("TOKEN", "ssm:/token"))
    assert (await secrets.delivery()).env == {}
    assert programs.calls == []

    delivery = (await secrets.delivery(None)).only(["TOKEN"])

    assert delivery.env == {"TOKEN": VALUE}
    assert delivery.mask.text(f"it is {VALUE}") == "it is ********"
    assert secrets.mask.text(VALUE) == "********"
    assert VALUE not in repr(delivery)


async def test_a_value_is_read_again_after_a_while_and_old_ones_stay_hidden() -> None:
    programs = Programs()
    secrets = provider(programs, by_reference("TOKEN", "ssm:/token"))
    await secrets.delivery(None)
    programs.result = 0, b"another-secret-value\n", b""

    assert (await secrets.delivery(None)).env == {"TOKEN": VALUE}
    programs.time = 31.0
    delivery = await secrets.delivery(None)

    assert delivery.env == {"TOKEN": "another-secret-value"}
    assert delivery.mask.text(f"{VALUE} another-secret-value") == "******** ********"
    assert len(programs.calls) == 2


async def test_only_the_secrets_of_a_command_are_read() -> None:
    programs = Programs()
    secrets = provider(programs, by_reference("A", "ssm:/a"), by_reference("B", "ssm:/b"))

    await secrets.delivery(["B"])

    assert [call[5] for call in programs.calls] == ["/b"]


async def test_a_secret_that_is_not_masked_stays_visible() -> None:
    secrets = provider(Programs(), by_reference("A", "ssm:/a", mask=False))

    assert (await secrets.delivery(None)).mask.text(VALUE) == VALUE


async def test_a_key_names_a_member_of_a_json_object() -> None:
    secrets = provider(
        Programs(b'{"user": "a", "port": 1}'), by_reference("PORT", "aws-sm:db#port")
    )

    assert (await secrets.delivery(None)).env == {"PORT": "1"}


@pytest.mark.parametrize(
    ("programs", "text", "said"),
    [
        (Programs(code=255, errors=b"x\nAccessDenied"), "ssm:/a", "cannot read: AccessDenied"),
        (Programs(b"secret-but-no-json"), "aws-sm:a#b", "is not a JSON object with the key 'b'"),
        (Programs(b""), "ssm:/a", "whose value is empty"),
        (Programs(b"secret\xff"), "ssm:/a", "is not UTF-8 text"),
        (Programs(b"secret\x00"), "ssm:/a", "holds a NUL character"),
    ],
)
async def test_an_error_names_the_reference_and_never_a_value(
    programs: Programs, text: str, said: str
) -> None:
    secrets = provider(programs, by_reference("A", text))

    with pytest.raises(SecretStoreError, match=said) as error:
        await secrets.delivery(None)

    assert f"the secret A is {text}" in str(error.value)
    assert "secret-" not in str(error.value)


async def test_a_missing_program_and_a_slow_one_are_named() -> None:
    def missing(command: Sequence[str]) -> tuple[int, bytes, bytes]:
        raise FileNotFoundError(command[0])

    def slow(command: Sequence[str]) -> tuple[int, bytes, bytes]:
        raise subprocess.TimeoutExpired(command, 20)

    for run, said in ((missing, "'op' is not installed here"), (slow, "did not answer within 20")):
        with pytest.raises(SecretStoreError, match=said):
            await SecretReferences(run).read({"A": "op://a/b/c"})


def test_a_reference_is_refused_in_the_cloud_and_beside_a_value() -> None:
    def request(value: str, reference: str) -> PutSecrets:
        return PutSecrets(secrets=(SecretValue(key="A", value=value, reference=reference),))

    store = MemorySecrets()
    with pytest.raises(RefusedError, match="A is ssm:/a: this installation may not read it"):
        put(store, request("", "ssm:/a"), lambda key, text: check_allowed(key, text, "acme", ()))
    with pytest.raises(RefusedError, match="A: give a value or a reference, not both"):
        put(store, request("x", "ssm:/a"))
    with pytest.raises(RefusedError, match="A: 'ssm' is not a reference"):
        put(store, request("", "ssm"))
    assert store.read() == {}

    listed = put(store, request("", "ssm:/a"))

    assert [(each.reference, each.masked) for each in listed.secrets] == [("ssm:/a", True)]


def test_a_reference_without_a_version_turns_the_cache_off() -> None:
    assert cache_refusal({"A": "ssm:/a?version=3"}) is None
    assert cache_refusal({"A": "op://a/b/c"}) == (
        "its secret A is op://a/b/c, whose value may change there; add ?version= to the reference"
    )
