"""``conducto admin``, over the administration itself in memory."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import pytest
from tests.fakes.cloud.memory import MemoryClients

from chalicelib.people.admin import Administration
from chalicelib.people.store.members import TableTokens
from chalicelib.people.store.organisations import TableOrgs
from chalicelib.people.tokens import digest_of
from conducto.errors import UsageError
from conducto_cli.people.admin_command import AwsError, add_arguments
from conducto_cli.people.admin_command import run as admin
from conducto_core.people.model import Invitation, InvitationLink, NewInvitation

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., int]


class Place:
    def __init__(self) -> None:
        table = MemoryClients().table
        self.tokens = TableTokens(table, lambda: 0.0)
        self.orgs = TableOrgs(table, lambda: 0.0)
        self.asked: list[str] = []
        self.code = "cdo_of_the_invitation"

    def invoke(self, function: str, payload: bytes) -> bytes:
        self.asked.append(function)
        administration = Administration(self.tokens, self.orgs, lambda: 0.0, invite=self.invite)
        return json.dumps(administration.respond(json.loads(payload))).encode()

    def invite(self, org: str, request: NewInvitation) -> InvitationLink:
        made = Invitation(
            id="0" * 16,
            email=request.email,
            role=request.role,
            user=request.email.partition("@")[0],
            invited_by=org,
            created=0.0,
            expires=1.0,
        )
        return InvitationLink(invitation=made, code=self.code, url="", mailed=False)

    def run(self, *words: str) -> int:
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        return admin(parser.parse_args([*words, "--org", "acme"]), self.invoke)


@pytest.fixture
def place() -> Place:
    return Place()


def test_a_token_is_minted_listed_and_revoked(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run("mint-token", "--user", "ann", "--permission", "read", "--days", "2") == 0
    token = capsys.readouterr().out.splitlines()[0]
    identity = place.tokens.find(digest_of(token))
    assert identity is not None
    assert (identity.org, identity.user, identity.permissions) == ("acme", "ann", {"read"})

    assert place.run("tokens") == 0
    line = capsys.readouterr().out
    assert "ann  made 1970-01-01, ends 1970-01-03  read" in line
    assert token not in line

    assert place.run("revoke-token", line.split()[0], "--yes") == 0
    assert place.tokens.find(digest_of(token)) is None
    assert place.asked == ["conducto-main-admin"] * 3


def test_first_owner_is_invited(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run("invite", "--email", "ann@x.y") == 0

    shown = capsys.readouterr().out
    assert "ann@x.y is invited as ann (owner), not mailed" in shown
    assert f"it asks for the code {place.code}" in shown


def test_a_plan_is_set_and_shown(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run("set-plan", "--name", "scale", "--max-workers", "50") == 0
    assert place.run("plan", "--json", "--stage", "dev") == 0

    shown = capsys.readouterr().out
    assert "acme is on the plan scale" in shown
    assert json.loads(shown[shown.index("{") :])["plan"]["max_workers"] == 50
    assert place.asked[-1] == "conducto-dev-admin"


def test_unknown_token_id_is_an_error(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run("revoke-token", "0123456789", "--yes") == 1

    assert "acme has no tokens '0123456789'" in capsys.readouterr().err


def test_unreachable_aws_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(function: str, _payload: bytes) -> bytes:
        raise AwsError(f"{function}: no credentials")

    parser = argparse.ArgumentParser()
    add_arguments(parser)

    assert admin(parser.parse_args(["plan", "--org", "acme"]), fail) == 1
    assert "conducto: conducto-main-admin: no credentials" in capsys.readouterr().err


def test_default_budget_of_an_organisation_is_set_and_removed(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run("set-plan", "--pipeline-budget", "5") == 0
    assert "default budget     $5.00 a pipeline" in capsys.readouterr().out
    assert place.run("set-plan", "--no-pipeline-budget") == 0
    assert "default budget" not in capsys.readouterr().out


@pytest.mark.parametrize("dollars", ["0", "-1", "nan", "inf"])
def test_invalid_default_budget_is_refused(place: Place, dollars: str) -> None:
    with pytest.raises(UsageError, match="pipeline_budget"):
        place.run("set-plan", f"--pipeline-budget={dollars}")
