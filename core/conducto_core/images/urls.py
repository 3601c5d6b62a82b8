"""URLs of git repositories."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

_USER, _PASSWORD = "CONDUCTO_GIT_USER", "CONDUCTO_GIT_PASSWORD"
#: A credential helper that reads the environment: all users can see arguments of processes.
HELPER = f'!f() {{ printf "username=%s\\npassword=%s\\n" "${_USER}" "${_PASSWORD}"; }}; f'


@dataclass(frozen=True, slots=True)
class GitAccess:
    """Access to a git repository without a password in git's arguments.

    Attributes:
        url: The URL without user name and password.
        options: Arguments between ``git`` and its command.
        env: Variables for git; they may contain a password.
    """

    url: str
    options: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict, repr=False)


def git_access(url: str) -> GitAccess:
    """Return the access to a URL that may contain a user name and a password."""
    shown = without_password(url)
    if shown == url:
        return GitAccess(url)
    given = urlsplit(url)
    env = {_USER: unquote(given.username or ""), _PASSWORD: unquote(given.password or "")}
    # The first option disables the user's own helpers, which could read or store the password.
    return GitAccess(shown, ("-c", "credential.helper=", "-c", helper_for(shown)), env)


def helper_for(url: str) -> str:
    """Return git's setting that reads the password for a URL's host from the environment."""
    there = urlsplit(url)
    return f"credential.{there.scheme}://{there.netloc}.helper={HELPER}"


def without_password(url: str) -> str:
    """Return the URL without user name and password, except for ssh, which needs the name."""
    parts = urlsplit(url)
    if "@" not in parts.netloc or parts.scheme in ("", "ssh", "git+ssh"):
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
