"""Organisations and their members."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from conducto_core.model.base import Record

#: Names of organisations and users are parts of keys and appear in ECS.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class Role(StrEnum):
    """A member's role; `conducto_core.semantics.roles` has its permissions."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"
    OWNER = "owner"


class Member(Record):
    """A member of an organisation.

    Attributes:
        email: The address of their invitation; only administrators see it.
        joined: In seconds since the epoch.
    """

    user: Name
    role: Role
    joined: float
    email: str | None = None


class MemberList(Record):
    """The members of an organisation, by name."""

    members: tuple[Member, ...]
