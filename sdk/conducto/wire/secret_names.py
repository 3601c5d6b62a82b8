"""What a secret may be. Standard library only: the author API checks secrets in users' images."""

import re
from typing import FrozenSet

SCOPES = ("user", "org")
#: Bytes of one value, in UTF-8.
MAX_VALUE = 64 << 10
#: Bytes of all values together: a program's whole environment has a limit in the kernel.
MAX_TOTAL = 1 << 20

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}\Z")
#: Variables that shells set themselves, refuse to have set, or act upon.
_SHELLS_OWN: FrozenSet[str] = frozenset(
    {"EUID", "FUNCNAME", "GROUPS", "IFS", "LINENO", "OPTIND", "PPID", "RANDOM", "SECONDS"}
    | {"SHELLOPTS", "SRANDOM", "UID", "_"}
)


def check_scope(key: str, scope: object) -> None:
    """Check whose a secret is.

    Raises:
        ValueError: It is neither ``"user"`` nor ``"org"``.
    """
    if scope not in SCOPES:
        raise ValueError(f"secret {key}: scope must be 'user' or 'org', got {scope!r}")


def check_key(key: object) -> None:
    """Check the name of a secret.

    Raises:
        TypeError: It is no text.
        ValueError: It is no identifier, or a variable that somebody else sets.
    """
    if not isinstance(key, str):
        raise TypeError(f"the name of a secret must be text, got {type(key).__name__}")
    if not _IDENTIFIER.match(key):
        raise ValueError(
            f"{key!r} cannot be the name of a secret: it becomes a variable's name, so it must "
            "consist of letters, digits and '_' and begin with no digit"
        )
    if key.startswith("CONDUCTO_") or key == "__RUN_BY_WORKER__":
        raise ValueError(f"{key!r} cannot be the name of a secret: Conducto sets that variable")
    if key in _SHELLS_OWN or key.startswith("BASH"):
        raise ValueError(f"{key!r} cannot be the name of a secret: shells set that variable")


def check_value(key: str, value: object) -> None:
    """Check the value of a secret. The value is in no message.

    Raises:
        TypeError: It is no text.
        ValueError: It is too long, or cannot be a variable's value.
    """
    if not isinstance(value, str):
        raise TypeError(f"secret {key}: the value must be text, got {type(value).__name__}")
    if "\0" in value:
        raise ValueError(f"secret {key}: the value holds a NUL character; encode it, e.g. base64")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ValueError(
            f"secret {key}: the value is no valid text; encode it, e.g. base64"
        ) from None
    if size > MAX_VALUE:
        raise ValueError(
            f"secret {key}: the value has {size} bytes, at most {MAX_VALUE} are allowed"
        )
