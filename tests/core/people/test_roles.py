"""Roles, their permissions, and the last owner."""

from itertools import pairwise

import pytest

from conducto_core.api.operation import Permission
from conducto_core.errors import RefusedError
from conducto_core.installation.names import PERMISSIONS
from conducto_core.people.model import Role
from conducto_core.people.rules import (
    INHERITED,
    PURPOSES,
    check_owners_left,
    narrowed,
    needed_to_change,
    permissions_of,
)


def test_each_role_has_the_permissions_of_the_one_before_it() -> None:
    roles = list(Role)

    for smaller, larger in pairwise(roles):
        assert permissions_of(smaller) < permissions_of(larger)


def test_owner_has_all_permissions_that_a_token_can_have() -> None:
    assert permissions_of(Role.OWNER) == set(PERMISSIONS)


def test_only_admins_and_owners_manage_the_organisation_and_only_owners_billing() -> None:
    assert [Permission.MANAGE_ORGANISATION in permissions_of(role) for role in Role] == [
        False,
        False,
        True,
        True,
    ]
    assert [Permission.MANAGE_BILLING in permissions_of(role) for role in Role] == [
        False,
        False,
        False,
        True,
    ]


def test_viewer_only_reads() -> None:
    assert permissions_of(Role.VIEWER) == {"read", "metrics"}


def test_token_has_at_most_the_permissions_of_its_parent() -> None:
    assert narrowed({"read", "launch"}, {"read", "secrets"}) == {"read"}
    assert narrowed(INHERITED, permissions_of(Role.MEMBER)) == permissions_of(Role.MEMBER)


def test_single_purpose_permissions_need_no_parent_and_are_not_inherited() -> None:
    assert narrowed({"sign_in"}, {"read"}) == {"sign_in"}
    assert narrowed(INHERITED, set(PURPOSES)) == set()


@pytest.mark.parametrize("other", [*Role, None])
def test_owner_role_is_given_and_withdrawn_by_owners(other: Role | None) -> None:
    assert needed_to_change(Role.OWNER, other) is Permission.MANAGE_BILLING
    assert needed_to_change(other, Role.OWNER) is Permission.MANAGE_BILLING


def test_other_roles_are_given_by_administrators() -> None:
    assert needed_to_change(Role.ADMIN, None) is Permission.MANAGE_ORGANISATION


@pytest.mark.parametrize("after", [Role.ADMIN, Role.VIEWER, None])
def test_last_owner_stays(after: Role | None) -> None:
    with pytest.raises(RefusedError, match="last owner"):
        check_owners_left(1, Role.OWNER, after)
    check_owners_left(2, Role.OWNER, after)


def test_last_owner_may_keep_the_role() -> None:
    check_owners_left(1, Role.OWNER, Role.OWNER)
    check_owners_left(1, Role.MEMBER, None)
