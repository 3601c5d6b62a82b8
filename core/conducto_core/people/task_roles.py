"""IAM roles that an administrator assigns to commands, per organisation or program. Pure.

A program is a script in a repository, such as ``github.com/acme/reports:pipelines/nightly.py``. The
title of a pipeline does not select a role: everybody who launches can choose it.
"""

import re
from collections.abc import Iterable
from posixpath import normpath
from typing import NamedTuple
from urllib.parse import urlsplit

from conducto_core.run.model.records import GitOrigin

#: Lambda allows 4 kB of variables in total, and the roles are one of them.
MAX_TEXT = 1000
#: Prefix of the names of an installation's own roles, which commands must not use.
OWN_PREFIX = "conducto-"
_ASSIGNMENT = re.compile(
    r"(?P<org>[A-Za-z0-9][A-Za-z0-9._-]{0,62})(?:/(?P<program>[^=,]+))?"
    r"=(?P<arn>arn:[a-z-]+:iam::\d{12}:role/[\w+.@/-]+)"
)
_PROGRAM = re.compile(r"(?P<repository>[\w.-]+(?:/[\w.-]+){2,}):(?P<path>[^:/][^:]*)")
_FORM = "ORG/HOST/OWNER/NAME:PATH=ARN"


class TaskRole(NamedTuple):
    """A role, and the pipelines whose commands use it.

    Attributes:
        program: Their program (`program_of`); None: every pipeline without a role of its own.
    """

    org: str
    program: str | None
    arn: str

    @property
    def name(self) -> str:
        """Name of the role, without its path."""
        return self.arn.rpartition("/")[2]

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]


def read_task_roles(text: str) -> tuple[TaskRole, ...]:
    """Return the roles that ``ORG=ARN,ORG/HOST/OWNER/NAME:PATH=ARN`` assigns.

    Raises:
        ValueError: the text has another form, or assigns a role that commands must not have.

    >>> role = "arn:aws:iam::123456789012:role/reports"
    >>> read_task_roles(f"main/github.com/Acme/app:nightly.py={role}")[0].program
    'github.com/acme/app:nightly.py'
    """
    if len(text) > MAX_TEXT:
        raise ValueError(f"{len(text)} characters; at most {MAX_TEXT} fit into a Lambda variable")
    found = tuple(_read(part.strip()) for part in text.split(",") if part.strip())
    keys = [(role.org, role.program) for role in found]
    for org, program in keys:
        if keys.count((org, program)) > 1:
            raise ValueError(f"{org}{f'/{program}' if program else ''} has two roles; name one")
    return found


def _read(text: str) -> TaskRole:
    match = _ASSIGNMENT.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r}: expected ORG=ARN or {_FORM}, such as "
            "main=arn:aws:iam::123456789012:role/reports"
        )
    role = TaskRole(match["org"], _program(match["program"]), match["arn"])
    if role.name.startswith(OWN_PREFIX):
        raise ValueError(f"{role.arn} is a role of Conducto itself; name a role of your own")
    return role


def _program(text: str | None) -> str | None:
    if text is None:
        return None
    match = _PROGRAM.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is not a program: a title does not select a role any more, because every "
            f"launch chooses its own; write {_FORM}, for a script that a git trigger of an "
            "administrator runs, such as main/github.com/acme/app:nightly.py=arn:…"
        )
    return f"{match['repository'].casefold()}:{normpath(match['path'])}"


def program_of(git: GitOrigin | None) -> str | None:
    """Return the program of a pipeline, if its trigger proves it and no user has changed it."""
    if git is None or git.untrusted or git.path is None:
        return None
    return f"{urlsplit(git.url).hostname}/{git.repository.casefold()}:{git.path}"


def role_for(roles: Iterable[TaskRole], org: str, program: str | None) -> str | None:
    """Return the ARN of the role that commands of a pipeline use; None if there is none.

    >>> roles = read_task_roles("a=arn:aws:iam::123456789012:role/r")
    >>> role_for(roles, "a", None), role_for(roles, "b", None)
    ('arn:aws:iam::123456789012:role/r', None)
    """
    of_org = {role.program: role.arn for role in roles if role.org == org}
    return of_org.get(program) or of_org.get(None)
