"""Only people with an open invitation can create an account."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from infra.aws import sign_up
from infra.settings import SettingsError, settings_from

from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.people.port import InvitationRecord
from chalicelib.people.store.members import TablePeople, TableTokens
from conducto_core.people.model import Invitation, Member, Role
from support.cloud.aws import REGION, TABLE, aws
from support.installation import resources, statements, templates

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = 1_000.0
DAY = 86_400.0


class Pool:
    """A user pool and the invitations of an installation."""

    def __init__(self, people: TablePeople) -> None:
        self.people = people

    def invite(self, email: str, digest: str = "d1", *, expires: float = 1e12) -> None:
        invitation = Invitation(
            id=digest.rjust(16, "0"),
            email=email,
            role=Role.MEMBER,
            user="new",
            invited_by="ann",
            created=NOW,
            expires=expires,
        )
        self.people.invite("acme", InvitationRecord(invitation=invitation, digest=digest))

    def sign_up(self, email: str, source: str = "PreSignUp_SignUp") -> bool:
        event = {
            "triggerSource": source,
            "request": {"userAttributes": {"email": email}},
            "response": {},
        }
        try:
            return sign_up.handler(event, None) == event
        except PermissionError:
            return False


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    with aws() as clients:
        for name, value in {
            "TABLE": TABLE,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }.items():
            monkeypatch.setenv(name, value)
        table = DynamoTable(clients, TABLE)
        yield Pool(TablePeople(table, TableTokens(table, lambda: NOW)))


@pytest.mark.parametrize("source", ["PreSignUp_SignUp", "PreSignUp_ExternalProvider"])
def test_address_with_an_open_invitation_can_sign_up(pool: Pool, source: str) -> None:
    pool.invite("new.person@acme.example")

    assert pool.sign_up("New.Person@acme.example", source)
    assert not pool.sign_up("other@acme.example", source)
    assert not pool.sign_up("", source)


def test_administrator_of_the_account_creates_any_account(pool: Pool) -> None:
    assert pool.sign_up("other@acme.example", "PreSignUp_AdminCreateUser")


def test_expired_invitation_does_not_count(pool: Pool) -> None:
    pool.invite("new@acme.example", expires=NOW)

    assert not pool.sign_up("new@acme.example")


@pytest.mark.parametrize("end", ["accept", "withdraw", "erase", "dissolve"])
def test_ended_invitation_does_not_count(pool: Pool, end: str) -> None:
    pool.invite("new@acme.example")
    people = pool.people
    match end:
        case "accept":
            member = Member(user="new", role=Role.MEMBER, joined=NOW, email="new@acme.example")
            people.join("acme", member, invitation="d1")
        case "withdraw":
            people.withdraw("acme", "d1")
        case "erase":
            people.drop_invitation("acme", "d1")
        case _:
            people.dissolve("acme")

    assert not pool.sign_up("new@acme.example")


def test_other_invitation_of_an_address_still_counts(pool: Pool) -> None:
    pool.invite("new@acme.example", "d1")
    pool.invite("new@acme.example", "d2")
    pool.people.withdraw("acme", "d1")

    assert pool.sign_up("new@acme.example")


# ---- the template -----------------------------------------------------------------------------


def test_pool_asks_the_function_which_reads_invitations_only() -> None:
    data = templates("everything set")["data"]
    (pool,) = resources(data, "AWS::Cognito::UserPool")
    (permission,) = resources(data, "AWS::Lambda::Permission")
    function = pool["Properties"]["LambdaConfig"]["PreSignUp"]["Fn::GetAtt"][0]
    (role,) = [
        (n, s)
        for n, s in statements(data)
        if n.startswith("PeopleSignUpRole") and "dynamodb:Query" in s["Action"]
    ]

    code = data["Resources"][function]["Properties"]["Code"]["ZipFile"]
    assert code == Path(sign_up.__file__).read_text()
    assert len(code) <= 4096, "CloudFormation's maximum"
    assert permission["Properties"]["Principal"] == "cognito-idp.amazonaws.com"
    assert permission["Properties"]["SourceArn"]["Fn::GetAtt"][1] == "Arn"
    assert role[1]["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["V#*"]}}


def test_mail_of_accounts_comes_from_the_chosen_sender() -> None:
    (pool,) = resources(templates("everything set")["data"], "AWS::Cognito::UserPool")

    mail = pool["Properties"]["EmailConfiguration"]
    assert mail["EmailSendingAccount"] == "DEVELOPER"
    assert mail["From"] == "no-reply@mail.example.org"
    assert ":identity/mail.example.org" in json.dumps(mail["SourceArn"])


def test_alarm_counts_attempts_to_sign_up() -> None:
    alarms = resources(templates("everything set")["watch"], "AWS::CloudWatch::Alarm")

    (found,) = [a for a in alarms if a["Properties"]["AlarmName"].endswith("-SignUps")]
    assert "sign_up" in json.dumps(found["Properties"]["Metrics"])
    assert "SignUps" not in json.dumps(templates("default")["watch"])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"ses_identity": "example.org", "zone": "us-east-1a"},
            "ses_identity requires identity=cognito",
        ),
        ({"ses_identity": "example", "identity": "cognito"}, "an address or a domain in SES"),
    ],
)
def test_sender_that_cannot_be_used_is_refused(settings: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        settings_from(settings.get)
