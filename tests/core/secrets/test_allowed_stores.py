"""References that an installation may read: prefixes of the administrator."""

from __future__ import annotations

import pytest

from conducto_core.installation.rules import limitations
from conducto_core.secrets.port import SecretRefusedError, SecretStoreError
from conducto_core.secrets.rules import check_allowed, read_prefixes, value_in

ALLOWED = read_prefixes("aws-sm:prod/, ssm:/t/{org}/, aws-sm:x-{org}-")


def test_prefixes_are_beginnings_of_names_in_a_store() -> None:
    assert ALLOWED == ("aws-sm:prod/", "ssm:/t/{org}/", "aws-sm:x-{org}-")
    assert read_prefixes(" , ") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("aws-sm:", "'aws-sm:': expected the beginning of names"),
        ("ssm:prod", "such as aws-sm:prod/, ssm:/prod/ or aws-sm:teams/{org}/"),
        ("ssm:/", "expected the beginning of names"),
        ("vault:secret/", "expected the beginning of names"),
        ("aws-sm:*", "expected the beginning of names"),
        ("aws-sm:conducto-main/", "it has secrets of installations; allow names that begin"),
        ("aws-sm:con", "it has secrets of installations"),
        ("ssm:/conducto/", "it has secrets of installations"),
        ("aws-sm:{org}", "it has secrets of installations"),
        (",".join(f"aws-sm:p{n}/" for n in range(11)), "11 prefixes; the maximum is 10"),
    ],
)
def test_invalid_prefixes_are_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        read_prefixes(text)
    assert said in str(raised.value)


@pytest.mark.parametrize("text", ["ssm:/t/acme/db", "aws-sm:x-acme-db", "aws-sm:prod/db#key"])
def test_references_of_the_organisation_are_allowed(text: str) -> None:
    assert text.startswith(check_allowed("DB", text, "acme", ALLOWED).store)


@pytest.mark.parametrize(
    "text", ["ssm:/t/other/db", "aws-sm:x-other-db", "aws-sm:prod", "ssm:t/acme/db"]
)
def test_references_of_others_are_refused(text: str) -> None:
    with pytest.raises(SecretRefusedError, match="this installation may not read it"):
        check_allowed("DB", text, "acme", ALLOWED)


def test_nothing_is_allowed_without_prefixes() -> None:
    with pytest.raises(SecretRefusedError, match=r"it may read: none.*secret_stores='ssm:/a/'"):
        check_allowed("DB", "ssm:/a/b", "acme", ())


def test_a_shared_installation_shows_a_limitation_for_prefixes_without_the_organisation() -> None:
    def told(stores: str) -> list[str]:
        found = limitations("us-east-1", "main", {"billing": "true", "secret_stores": stores})
        return [each.text for each in found if "secret_stores" in each.text]

    assert told("aws-sm:prod/") == [
        "secret_stores=aws-sm:prod/: commands of any organisation can read these secrets"
    ]
    assert told("aws-sm:x-{org}-") == []


@pytest.mark.parametrize(
    ("text", "stored", "said"),
    [
        ("aws-sm:a#k", "secret-text", "is not a JSON object with the key 'k'"),
        ("aws-sm:a#k", '["secret-text"]', "is not a JSON object with the key 'k'"),
        ("ssm:/a", "", "whose value is empty"),
        ("ssm:/a", "secret-text\0", "holds a NUL character"),
    ],
)
def test_no_error_has_a_value(text: str, stored: str, said: str) -> None:
    with pytest.raises(SecretStoreError) as raised:
        value_in("DB", text, stored)
    assert said in str(raised.value)
    assert text in str(raised.value)
    assert "secret-text" not in str(raised.value)


def test_a_member_of_another_type_becomes_json() -> None:
    assert value_in("DB", "aws-sm:a#k", '{"k": {"a": 1}}') == '{"a": 1}'
    assert value_in("DB", "aws-sm:a", '{"k": 1}') == '{"k": 1}'
