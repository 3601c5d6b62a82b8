"""Errors of the parts that talk to a Conducto server.

Exception
├── InvalidResponse            a server sent an error response
│   └── UnauthorizedResponse   it did not accept the token
├── UserInputValidation        invalid input from a user
│   ├── UserPermissionError    the object exists, but this user may not access it
│   └── UserPathError          a path cannot be used there
│       ├── WindowsMapError    a Windows path that cannot be mounted
│       └── WSLMapError        the same in the Windows Subsystem for Linux
└── NotAvailableError          this version has no server for that yet

The names are those of the client that pipelines were written for, so that their ``except`` clauses
still work.
"""

from __future__ import annotations


class InvalidResponse(Exception):  # noqa: N818 - the name is part of the public API
    """A server's response was not a success.

    Attributes:
        status_code: HTTP status, or ``None`` if there was no response.
    """

    def __init__(
        self,
        *args: object,
        status_code: int | None = None,
        url: str | None = None,
        content_type: str | None = None,
    ) -> None:
        super().__init__(*args)
        self.status_code = status_code
        self.url = url
        self.content_type = content_type


class UnauthorizedResponse(InvalidResponse):
    """The server did not accept the token (HTTP 401)."""


class UserInputValidation(Exception):  # noqa: N818 - the name is part of the public API
    """Invalid input from a user; the message has the reason."""


class UserPermissionError(UserInputValidation):
    """The object exists, but this user may not access it."""


class UserPathError(UserInputValidation):
    """A path cannot be used where it is needed."""


class WindowsMapError(UserPathError):
    """A Windows path cannot be mounted into a container."""


class WSLMapError(UserPathError):
    """A path of the Windows Subsystem for Linux cannot be mounted into a container."""


class NotAvailableError(RuntimeError):
    """A feature needs a part of Conducto that this version does not have yet.

    Attributes:
        what: The missing part, as a noun phrase.
        remedy: A sentence with an alternative; may be empty.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        text = f"{what} is not available yet in this version of Conducto."
        super().__init__(f"{text} {remedy}".rstrip())
        self.what = what
        self.remedy = remedy
