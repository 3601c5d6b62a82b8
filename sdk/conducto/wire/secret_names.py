"""Checks of secrets. Standard library only: the author API uses them in users' images."""

import re
from typing import FrozenSet, List

SCOPES = ("user", "org")
#: Maximum bytes of one value, in UTF-8.
MAX_VALUE = 64 << 10
#: Maximum bytes of all values together: the kernel limits a program's whole environment.
MAX_TOTAL = 1 << 20

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}\Z")
#: Variables that shells set themselves, do not allow to be set, or treat specially.
_SHELLS_OWN: FrozenSet[str] = frozenset(
    {"EUID", "FUNCNAME", "GROUPS", "IFS", "LINENO", "OPTIND", "PPID", "RANDOM", "SECONDS"}
    | {"SHELLOPTS", "SRANDOM", "UID", "_"}
)

#: Words in the name of a value that is probably a secret.
_SECRETIVE = re.compile(
    r"passw(or)?d|passphrase|secret|credential|(^|_)(token|api_?key|private_?key|access_?key|auth)"
    r"(_|$)",
    re.IGNORECASE,
)


def looks_secret(name: str) -> bool:
    """Return whether the value of a parameter with this name is probably a secret.

    >>> looks_secret("api_token"), looks_secret("--db-password"), looks_secret("tokens")
    (True, True, False)
    """
    return _SECRETIVE.search(name.replace("-", "_")) is not None


_SET = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")


def check_set(value: object) -> str:
    """Return the name of a set of secrets; "" is none.

    Raises:
        ValueError: It is not such a name.
    """
    if value == "" or (isinstance(value, str) and _SET.match(value)):
        return str(value)
    raise ValueError(
        "the name of a set of secrets has lower-case letters, digits and '-', at most 32, and "
        f"begins with a letter, got {value!r}"
    )


def check_scope(key: str, scope: object) -> None:
    """Check the scope of a secret.

    Raises:
        ValueError: It is neither ``"user"`` nor ``"org"``.
    """
    if scope not in SCOPES:
        raise ValueError(f"secret {key}: scope must be 'user' or 'org', got {scope!r}")


def check_key(key: object) -> None:
    """Check the name of a secret.

    Raises:
        TypeError: It is not text.
        ValueError: It is not an identifier, or Conducto or a shell sets that variable.
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


def check_names(value: object) -> List[str]:
    """Return the names of secrets that a command gets as a list.

    Raises:
        TypeError: It is not a list of texts.
        ValueError: A name is invalid or given twice.
    """
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"secrets must be a list of names such as ['NPM_TOKEN'], got {value!r}")
    names = list(value)
    for name in names:
        check_key(name)
    if len(set(names)) < len(names):
        raise ValueError(f"secrets names one twice: {', '.join(names)}; give each once")
    return names


def check_value(key: str, value: object) -> None:
    """Check the value of a secret. No message contains the value.

    Raises:
        TypeError: It is not text.
        ValueError: It is too long, or is not valid for a variable.
    """
    if not isinstance(value, str):
        raise TypeError(f"secret {key}: the value must be text, got {type(value).__name__}")
    if "\0" in value:
        raise ValueError(f"secret {key}: the value holds a NUL character; encode it, e.g. base64")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ValueError(
            f"secret {key}: the value is not valid text; encode it, e.g. base64"
        ) from None
    if size > MAX_VALUE:
        raise ValueError(
            f"secret {key}: the value has {size} bytes, at most {MAX_VALUE} are allowed"
        )
