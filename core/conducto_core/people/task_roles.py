"""IAM roles that an administrator assigns to commands, per organisation or pipeline. Pure."""

import re
from collections.abc import Iterable
from typing import NamedTuple

#: Lambda allows 4 kB of variables in total, and the roles are one of them.
MAX_TEXT = 1000
#: Prefix of the names of an installation's own roles, which commands must not use.
OWN_PREFIX = "conducto-"
_ASSIGNMENT = re.compile(
    r"(?P<org>[A-Za-z0-9][A-Za-z0-9._-]{0,62})(?:/(?P<title>[^=,]+))?"
    r"=(?P<arn>arn:[a-z-]+:iam::\d{12}:role/[\w+.@/-]+)"
)


class TaskRole(NamedTuple):
    """A role, and the pipelines whose commands use it.

    Attributes:
        title: Title of its pipelines; None: every title without a role of its own.
    """

    org: str
    title: str | None
    arn: str

    @property
    def name(self) -> str:
        """Name of the role, without its path."""
        return self.arn.rpartition("/")[2]

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]


def read_task_roles(text: str) -> tuple[TaskRole, ...]:
    """Return the roles that ``ORG=ARN,ORG/TITLE=ARN`` assigns.

    Raises:
        ValueError: the text has another form, or assigns a role that commands must not have.

    >>> read_task_roles("main/nightly=arn:aws:iam::123456789012:role/reports")[0].title
    'nightly'
    """
    if len(text) > MAX_TEXT:
        raise ValueError(f"{len(text)} characters; at most {MAX_TEXT} fit into a Lambda variable")
    found = tuple(_read(part.strip()) for part in text.split(",") if part.strip())
    keys = [(role.org, role.title) for role in found]
    for org, title in keys:
        if keys.count((org, title)) > 1:
            raise ValueError(f"{org}{f'/{title}' if title else ''} has two roles; name one")
    return found


def _read(text: str) -> TaskRole:
    match = _ASSIGNMENT.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r}: expected ORG=ARN or ORG/TITLE=ARN, such as "
            "main=arn:aws:iam::123456789012:role/reports"
        )
    role = TaskRole(match["org"], match["title"], match["arn"])
    if role.name.startswith(OWN_PREFIX):
        raise ValueError(f"{role.arn} is a role of Conducto itself; name a role of your own")
    return role


def role_for(roles: Iterable[TaskRole], org: str, title: str) -> str | None:
    """Return the ARN of the role that commands of a pipeline use; None if there is none.

    >>> roles = read_task_roles("a=arn:aws:iam::123456789012:role/r")
    >>> role_for(roles, "a", "any title"), role_for(roles, "b", "any title")
    ('arn:aws:iam::123456789012:role/r', None)
    """
    of_org = {role.title: role.arn for role in roles if role.org == org}
    return of_org.get(title) or of_org.get(None)
