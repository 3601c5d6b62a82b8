"""Values of references as AWS returns them, and its errors."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.errors import ThrottledError
from chalicelib.secrets.aws import read_reference
from conducto_core.secrets.port import SecretStoreError
from conducto_core.secrets.rules import parse_reference


class Aws:
    """Secrets Manager and SSM with one response."""

    def __init__(self, response: dict[str, Any] | str) -> None:
        self.response, self.calls = response, list[tuple[str, dict[str, Any]]]()

    def get(self, name: str) -> Aws:
        self.calls.append((name, {}))
        return self

    def _call(self, **given: Any) -> dict[str, Any]:
        self.calls[-1] = (self.calls[-1][0], given)
        if isinstance(self.response, str):
            said = {"Error": {"Code": self.response, "Message": "with the value"}}
            raise ClientError(said, "Get")  # type: ignore[arg-type]
        return self.response

    get_parameter = get_secret_value = _call


def read(aws: Aws, text: str) -> str:
    return read_reference(aws, parse_reference(text))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("aws-sm:prod/db#key", ("secretsmanager", {"SecretId": "prod/db"})),
        (
            "aws-sm:prod/db?version=v1",
            ("secretsmanager", {"SecretId": "prod/db", "VersionId": "v1"}),
        ),
        ("ssm:/prod/key", ("ssm", {"Name": "/prod/key", "WithDecryption": True})),
        ("ssm:/prod/key?version=3", ("ssm", {"Name": "/prod/key:3", "WithDecryption": True})),
    ],
)
def test_reference_is_read_with_its_version(text: str, call: tuple[str, dict[str, Any]]) -> None:
    aws = Aws({"SecretString": "x", "Parameter": {"Value": "x"}})

    assert read(aws, text) == "x"
    assert aws.calls == [call]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ResourceNotFoundException", "AWS cannot read it: there is no such secret or version"),
        ("ParameterNotFound", "there is no such parameter"),
        ("AccessDeniedException", "has no permission to read it, or its KMS key"),
        ("SomethingElse", "AWS cannot read it: SomethingElse"),
    ],
)
def test_errors_have_a_reason_and_no_text_of_aws(code: str, said: str) -> None:
    with pytest.raises(SecretStoreError) as raised:
        read(Aws(code), "aws-sm:prod/db")
    assert said in str(raised.value)
    assert "with the value" not in str(raised.value)


def test_a_throttled_read_is_tried_again() -> None:
    with pytest.raises(ThrottledError):
        read(Aws("ThrottlingException"), "aws-sm:prod/db")


def test_a_binary_secret_is_refused() -> None:
    with pytest.raises(SecretStoreError, match="its value is binary, not text"):
        read(Aws({"SecretBinary": b"x"}), "aws-sm:prod/db")
