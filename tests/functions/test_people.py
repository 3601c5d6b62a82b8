"""Members, invitations, tokens and sessions of an organisation, through the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.tokens import membership_digest, new_token
from chalicelib.ports.identity import Identity
from conducto_core.model.people import Member, Role
from conducto_core.semantics.roles import INHERITED

if TYPE_CHECKING:
    from tests.functions.conftest import Front


def joined(front: Front, user: str, role: Role = Role.MEMBER, org: str = "acme") -> str:
    """Add a member, and return a token of theirs."""
    email = f"{user}@acme.example"
    front.app.cloud.people.join(org, Member(user=user, role=role, joined=1.0, email=email))
    token, digest = new_token()
    parent = membership_digest(org, user)
    front.app.tokens.put(digest, Identity(org, user, INHERITED), expires=None, parent=parent)
    return token


def test_members_are_listed_by_name(front: Front) -> None:
    admin = joined(front, "bea", Role.ADMIN)
    joined(front, "abe")
    joined(front, "eve", org="other")

    status, found = front.call("GET", "/members", admin)

    assert status == 200
    assert [(m["user"], m["role"]) for m in found["members"]] == [
        ("abe", "member"),
        ("bea", "admin"),
    ]


def test_only_administrators_see_addresses(front: Front) -> None:
    admin, viewer = joined(front, "bea", Role.ADMIN), joined(front, "abe", Role.VIEWER)

    seen = [front.call("GET", "/members", token)[1]["members"] for token in (admin, viewer)]

    assert [m["email"] for m in seen[0]] == ["abe@acme.example", "bea@acme.example"]
    assert [m["email"] for m in seen[1]] == [None, None]


def test_root_token_of_a_member_cannot_be_sent(front: Front) -> None:
    joined(front, "ann", Role.OWNER)

    for forged in (membership_digest("acme", "ann"), "membership|acme|ann"):
        assert front.call("GET", "/members", forged)[0] in (401, 403)
