"""URLs of git repositories."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

#: Variables with the lines of `GitAccess.login`: of the running git, of a build's repository, and
#: of the submodules that an administrator lists. All users can see arguments of processes.
_LOGINS, LOGIN, SUBMODULE_LOGINS = (
    "CONDUCTO_GIT_LOGINS",
    "CONDUCTO_GIT_LOGIN",
    "CONDUCTO_GIT_SUBMODULE_LOGINS",
)
#: A credential helper that gives a password only for the exact repository of a login: not for other
#: repositories of its host, nor for its server of Git LFS.
_HELPER = f"""!f() {{
    test "$1" = get || exit 0
    protocol= host= path=
    while IFS= read -r line && test -n "$line"; do
        case $line in
            protocol=*) protocol=${{line#*=}} ;;
            host=*) host=${{line#*=}} ;;
            path=*) path=${{line#*=}} ;;
        esac
    done
    printf '%s\\n' "${_LOGINS}" |
        while IFS= read -r url && IFS= read -r user && IFS= read -r password; do
            test "$url" = "$protocol://$host/${{path%.git}}" || continue
            printf 'username=%s\\npassword=%s\\n' "$user" "$password"
        done
}}; f"""
#: Git's settings for a private repository. The first one disables the user's own helpers, which
#: could read or store the password. A redirect would carry it to another repository of the host.
#: Without a password, files of Git LFS stay pointers.
PRIVATE = (
    "-c", "credential.helper=",
    "-c", "credential.useHttpPath=true",
    "-c", f"credential.helper={_HELPER}",
    "-c", "http.followRedirects=false",
    "-c", "filter.lfs.required=false",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class GitAccess:
    """Access to a git repository without a password in git's arguments.

    Attributes:
        url: The URL without user name and password.
        login: The lines of `_HELPER` for the repository: its address, user name and password.
    """

    url: str
    login: str = field(default="", repr=False)

    @property
    def options(self) -> tuple[str, ...]:
        """Arguments between ``git`` and its command."""
        return PRIVATE if self.login else ()

    @property
    def env(self) -> dict[str, str]:
        """Variables for git; they may contain a password."""
        return {_LOGINS: self.login} if self.login else {}


def git_access(url: str) -> GitAccess:
    """Return the access to a URL that may contain a user name and a password."""
    shown = without_password(url)
    if shown == url:
        return GitAccess(url)
    given, there = urlsplit(url), urlsplit(shown)
    path = unquote(there.path).strip("/").removesuffix(".git")
    words = (
        f"{there.scheme}://{there.netloc}/{path}",
        unquote(given.username or ""),
        unquote(given.password or ""),
    )
    return GitAccess(shown, "\n".join(words))


def without_password(url: str) -> str:
    """Return the URL without user name and password, except for ssh, which needs the name."""
    parts = urlsplit(url)
    if "@" not in parts.netloc or parts.scheme in ("", "ssh", "git+ssh"):
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


# ----------------------------------------------------------------------------------------
# The registries of image references, and their caches. Pure.


#: The registry of names without one, and its namespace for names without a slash.
DEFAULT = "docker.io"
_OFFICIAL = "library"


def parts(reference: str) -> tuple[str, str]:
    """Return the registry of a reference, and the rest of it as that registry knows it.

    >>> parts("python:3.13-slim"), parts("quay.io/a/b@sha256:0")
    (('docker.io', 'library/python:3.13-slim'), ('quay.io', 'a/b@sha256:0'))
    """
    first, slash, rest = reference.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    host, path = (first, rest) if is_host else (DEFAULT, reference)
    if host == DEFAULT and "/" not in path:
        path = f"{_OFFICIAL}/{path}"
    return host, path


def read_caches(text: str) -> dict[str, str]:
    """Return ``{registry: address of its cache}`` from ``registry=address registry=address``."""
    return dict(pair.split("=", 1) for pair in text.split())


def cached(reference: str, caches: Mapping[str, str]) -> str:
    """Return an image's name in the cache of its registry; its own name without a cache."""
    host, path = parts(reference)
    return f"{caches[host]}/{path}" if host in caches else reference
