"""Git hosts and repositories: addresses with credentials, statuses, changes.

Queries about history run the ``git`` command in ``git_dir`` or the current directory. They also
find a branch that exists only at the remote.
"""

# ruff: noqa: PTH100, PTH112
from __future__ import annotations

import enum
import os
import re
import subprocess
from urllib.parse import quote, urlsplit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conducto.tree.nodes import Node
# pathlib is slow to import, and this runs at every call in a container.

# ----------------------------------------------------------------------------------------
# Addresses of git repositories, in any form that git accepts.


_SCP_FORM = re.compile(r"(?:[^@/:]+@)?(?P<host>[^/:]+):(?!//)(?P<path>.+)")


def page_of(url: str) -> str:
    """Return the address of the repository's page: https, without credentials or ``.git``."""
    host, path = host_and_path(url)
    return f"https://{host}/{re.sub(r'[.]git$', '', path)}" if host else url


def host_and_path(url: str) -> tuple[str, str]:
    """Return host and path of a repository's address; both empty for a local path."""
    if "://" in url:
        parts = urlsplit(url)
        return (parts.hostname or "").lower(), parts.path.lstrip("/")
    match = _SCP_FORM.fullmatch(url)
    return (match["host"].lower(), match["path"].lstrip("/")) if match else ("", "")


_HOSTS = {"github.com": "GITHUB", "bitbucket.org": "BITBUCKET"}


class LogType(enum.Enum):
    """The format of a commit in ``get_log_diff``."""

    RAW = 1
    MARKDOWN = 2
    SLACK = 3


def clone_url(url: str, token: str | None = None) -> str:
    """Return the address to clone from, with credentials if they are enabled.

    With ``CONDUCTO_GITHUB_USE_SECRETS`` set, ``GITHUB_USER`` and ``GITHUB_TOKEN`` are added to
    addresses at github.com, and likewise ``BITBUCKET_…``. All other addresses are returned
    unchanged.

    Args:
        url: Any form that git accepts.
        token: Account at a server with the credentials; not used yet.

    Raises:
        ValueError: The variables with the credentials are not set.
    """
    del token
    host, path = host_and_path(url)
    prefix = _HOSTS.get(host)
    if prefix is None or not _uses_secrets(prefix):
        return url
    names = (f"{prefix}_USER", f"{prefix}_TOKEN")
    values = [os.environ.get(name, "") for name in names]
    if not all(values):
        missing = ", ".join(name for name in names if not os.environ.get(name))
        raise ValueError(
            f"{url}: CONDUCTO_{prefix}_USE_SECRETS is set, but not {missing}. "
            "Set them as secrets or in the environment."
        )
    account, password = (quote(value, safe="") for value in values)
    return f"https://{account}:{password}@{host}/{path}"


def url(url: str, token: str | None = None) -> str:
    """Return the address of the repository's page: https, without credentials or ``.git``."""
    del token
    return page_of(url)


def add_status_callback(
    node: Node, url: str, sha: str, *, inherited: bool = False, user_display: bool = True
) -> None:
    """Report every change of the node's state as a status of commit ``sha`` at ``url``."""
    from conducto import callback  # noqa: PLC0415 - rarely needed

    node.on_state_change(
        callback.github_status(url, sha, inherited=inherited, user_display=user_display)
    )


def get_log_diff(
    base_branch: str,
    current_branch: str | None = None,
    log_type: LogType = LogType.RAW,
    max_lines: int | None = None,
    git_dir: str | None = None,
) -> str:
    """Return the commits that ``current_branch`` has and ``base_branch`` lacks, newest first.

    Args:
        base_branch: Branch or commit to compare with.
        current_branch: The default is the one checked out.
        log_type: Format of a line; MARKDOWN and SLACK link to the host if it is known.
        max_lines: Maximum number of lines; one more counts the rest.
        git_dir: A directory in the repository.

    Raises:
        ValueError: There is no such branch, or no repository; git's message is included.
    """
    commits = _range(base_branch, current_branch, git_dir)
    lines = _git(["log", "--format=%h%x09%H%x09%s", commits, "--"], git_dir).splitlines()
    page = _page_of_origin(git_dir) if log_type is not LogType.RAW else ""
    shown = lines if max_lines is None else lines[:max_lines]
    texts = [_format(line, log_type, page) for line in shown]
    if len(shown) < len(lines):
        texts.append(f"… and {len(lines) - len(shown)} more")
    return "\n".join(texts)


def get_num_commits(
    base_branch: str, current_branch: str | None = None, git_dir: str | None = None
) -> int:
    """Return how many commits ``current_branch`` has and ``base_branch`` lacks."""
    commits = _range(base_branch, current_branch, git_dir)
    return int(_git(["rev-list", "--count", commits, "--"], git_dir))


def get_num_commits_behind_base(
    base_branch: str, current_branch: str | None = None, git_dir: str | None = None
) -> int:
    """Return how many commits ``base_branch`` has and ``current_branch`` lacks."""
    base, current = _resolve(base_branch, git_dir), _current(current_branch, git_dir)
    return int(_git(["rev-list", "--count", f"{current}..{base}", "--"], git_dir))


def get_last_shared_commit(
    base_branch: str, current_branch: str | None = None, git_dir: str | None = None
) -> str:
    """Return the full hash of the newest commit that both branches have.

    Raises:
        ValueError: They share none, or there is no such branch or repository.
    """
    base, current = _resolve(base_branch, git_dir), _current(current_branch, git_dir)
    return _git(["merge-base", base, current], git_dir).strip()


def _uses_secrets(prefix: str) -> bool:
    from conducto.util import env_bool  # noqa: PLC0415 - rarely needed

    return env_bool(f"CONDUCTO_{prefix}_USE_SECRETS")


def _range(base_branch: str, current_branch: str | None, git_dir: str | None) -> str:
    return f"{_resolve(base_branch, git_dir)}..{_current(current_branch, git_dir)}"


def _current(branch: str | None, git_dir: str | None) -> str:
    return _resolve("HEAD" if branch is None else branch, git_dir)


def _resolve(name: str, git_dir: str | None) -> str:
    if name and not name.startswith("-"):  # otherwise git would read it as an option
        for candidate in (name, f"origin/{name}"):
            command = ["rev-parse", "--verify", "--quiet", f"{candidate}^{{commit}}"]
            found = _run(command, git_dir)
            if found.returncode == 0:
                return found.stdout.strip()
    _git(["rev-parse", "--git-dir"], git_dir)  # a missing repository has a better message
    raise ValueError(
        f"no branch or commit {name!r} in the repository of {_working_directory(git_dir)}"
    )


def _git(arguments: list[str], git_dir: str | None) -> str:
    result = _run(arguments, git_dir)
    if result.returncode != 0:
        reason = result.stderr.strip() or "no result"
        raise ValueError(f"git {arguments[0]} failed in {_working_directory(git_dir)}: {reason}")
    return result.stdout


def _run(arguments: list[str], git_dir: str | None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - no shell, options are ours
            ["git", *arguments],  # noqa: S607 - whichever git the image has
            cwd=git_dir,
            capture_output=True,
            check=False,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError as error:
        if git_dir is not None and not os.path.isdir(git_dir):
            raise ValueError(f"git_dir={git_dir!r} is not a directory") from error
        raise ValueError(
            "the git command is not installed in this image; add install_packages=['git']"
        ) from error


def _working_directory(git_dir: str | None) -> str:
    return os.path.abspath("." if git_dir is None else git_dir)


def _page_of_origin(git_dir: str | None) -> str:
    address = os.environ.get("CONDUCTO_GIT_URL")
    if not address:
        origin = _run(["config", "--get", "remote.origin.url"], git_dir)
        address = origin.stdout.strip() if origin.returncode == 0 else ""
    page = url(address) if address else ""
    return page if urlsplit(page).scheme == "https" else ""


def _format(line: str, log_type: LogType, page: str) -> str:
    short, full, subject = line.split("\t", 2)
    link = f"{page}/commit/{full}" if page else ""
    if log_type is LogType.MARKDOWN:
        return f"* [{short}]({link}) {subject}" if link else f"* {short} {subject}"
    if log_type is LogType.SLACK:
        escaped = subject.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f"• <{link}|{short}> {escaped}" if link else f"• {short} {escaped}"
    return f"{short} {subject}"
