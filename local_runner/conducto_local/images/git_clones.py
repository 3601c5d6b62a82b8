"""Clones of git repositories for images: cloned once, updated at each launch."""

import asyncio
import hashlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from conducto_core.images.references import git_access, without_password
from conducto_local.engine.port import ImageError
from conducto_local.images.progress import BuildLogWriter, plain


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working tree on the host.

    Attributes:
        url: Its origin, without a password.
        key: URL and branch as requested.
        sha: Its commit.
    """

    path: Path
    url: str
    branch: str
    sha: str
    key: tuple[str, str]

    @property
    def env(self) -> dict[str, str]:
        return {
            "CONDUCTO_GIT_URL": self.url,
            "CONDUCTO_GIT_BRANCH": self.branch,
            "CONDUCTO_GIT_SHA": self.sha,
        }


@dataclass(slots=True)
class GitClones:
    """The clones of one cache directory.

    Hold the `lock` of a working tree while you use it, because a refresh changes it in place.
    """

    folder: Path
    _locks: dict[Path, asyncio.Lock] = field(default_factory=dict)

    def lock(self, url: str, branch: str) -> asyncio.Lock:
        return self._locks.setdefault(self._path(url, branch), asyncio.Lock())

    async def refresh(self, url: str, branch: str, log: BuildLogWriter) -> Checkout:
        """Return a working tree of the branch's newest commit.

        Raises:
            ImageError: Git is missing, or could not fetch the branch.
        """
        path = self._path(url, branch)
        shown = without_password(url)
        if (path / ".git").is_dir():
            await self._update(path, url, branch, log)
        else:
            await self._clone(path, url, branch, log)
        sha = await git_sha(path)
        if sha is None:
            raise log.failure(f"{shown!r}, branch {branch!r}: the branch has no commit; push one")
        return Checkout(path, shown, branch, sha, (url, branch))

    async def _clone(self, path: Path, url: str, branch: str, log: BuildLogWriter) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        await asyncio.to_thread(shutil.rmtree, part, ignore_errors=True)
        where = without_password(url)
        arguments = ("clone", "--single-branch", f"--branch={branch}", "--", where, str(part))
        await _git(self.folder, arguments, url, branch, log)
        await _update_submodules(part, url, branch, log)
        part.rename(path)

    async def _update(self, path: Path, url: str, branch: str, log: BuildLogWriter) -> None:
        before = await git_sha(path)
        await _git(
            path, ("fetch", "--quiet", "--", without_password(url), branch), url, branch, log
        )
        after = await git_sha(path, "FETCH_HEAD")
        if before != after:
            log.write(f"{branch}: {before} -> {after}\n")
            await _git(path, ("reset", "--hard", "FETCH_HEAD"), url, branch, log)
            await _git(path, ("clean", "-ffdxq"), url, branch, log)
            await _update_submodules(path, url, branch, log)

    def _path(self, url: str, branch: str) -> Path:
        return self.folder / hashlib.sha256(f"{url}\0{branch}".encode()).hexdigest()[:24]


async def _update_submodules(path: Path, url: str, branch: str, log: BuildLogWriter) -> None:
    """Check out the submodules, even if their URLs have changed.

    The password in the URL of the repository is not for them.
    """
    url = without_password(url)
    if (path / ".gitmodules").exists():
        await _git(path, ("submodule", "--quiet", "sync", "--recursive"), url, branch, log)
        update = ("submodule", "update", "--init", "--recursive", "--force")
        await _git(path, update, url, branch, log)


async def git_sha(path: Path, revision: str = "HEAD") -> str | None:
    """Return the commit that is checked out in a directory, or None if there is none."""
    try:
        process = await asyncio.create_subprocess_exec(
            "git", "-C", str(path), "rev-parse", "--verify", "--quiet", revision + "^{commit}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return None
    output, _ = await process.communicate()
    return output.decode().strip() if process.returncode == 0 else None


async def _git(
    cwd: Path, arguments: tuple[str, ...], url: str, branch: str, log: BuildLogWriter
) -> None:
    access = git_access(url)
    shown = access.url
    # Without a terminal, a password prompt would block.
    fixed = {"GIT_TERMINAL_PROMPT": "0", **access.env}
    env = {"GIT_SSH_COMMAND": "ssh -oBatchMode=yes", **os.environ, **fixed}
    try:
        process = await asyncio.create_subprocess_exec(
            "git", *access.options, *arguments, cwd=cwd, env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise ImageError(f"{shown!r}: cannot clone without git; install git") from error
    assert process.stdout is not None  # noqa: S101 - asked for above
    try:
        async for line in process.stdout:
            log.write(plain(line.decode(errors="replace")).replace(url, shown))
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code != 0:
        raise log.failure(
            f"{shown!r}, branch {branch!r}: git {arguments[0]} failed ({code}); check the URL, "
            "that the branch is pushed, and that you may read it (ssh agent, or token in the URL, "
            "which neither submodules nor redirects get)"
        )
