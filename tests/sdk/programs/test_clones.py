"""Clones of git repositories, with real repositories on disk."""

import base64
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conducto_local.engine.port import ImageError
from conducto_local.images.git_clones import Checkout, GitClones, git_sha, without_password
from conducto_local.images.progress import BuildLogWriter
from support.git_server import git_server


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "a").write_text("1")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "one")
    return folder


async def refresh(tmp_path: Path, origin: Path, branch: str = "main") -> Checkout:
    return await GitClones(tmp_path / "cache").refresh(str(origin), branch, BuildLogWriter())


async def test_clone_holds_the_branch(tmp_path: Path, origin: Path) -> None:
    checkout = await refresh(tmp_path, origin)

    assert (checkout.path / "a").read_text() == "1"
    assert checkout.env == {
        "CONDUCTO_GIT_URL": str(origin),
        "CONDUCTO_GIT_BRANCH": "main",
        "CONDUCTO_GIT_SHA": await git_sha(origin),
    }


async def test_refresh_fetches_new_commits(tmp_path: Path, origin: Path) -> None:
    old = await refresh(tmp_path, origin)
    (old.path / "litter").write_text("")
    (origin / "a").write_text("2")
    git(origin, "commit", "-q", "-a", "-m", "two")

    new = await refresh(tmp_path, origin)

    assert (new.path / "a").read_text() == "2"
    assert not (new.path / "litter").exists()
    assert new.sha != old.sha


async def test_rewritten_branch_is_followed(tmp_path: Path, origin: Path) -> None:
    await refresh(tmp_path, origin)
    (origin / "a").write_text("3")
    git(origin, "commit", "-q", "-a", "--amend", "-m", "other")

    assert ((await refresh(tmp_path, origin)).path / "a").read_text() == "3"


async def test_refresh_without_changes_modifies_no_file(tmp_path: Path, origin: Path) -> None:
    def contents(path: Path) -> dict[str, bytes]:
        return {str(one): one.read_bytes() for one in path.rglob("*") if one.is_file()}

    await refresh(tmp_path, origin)
    before = contents((await refresh(tmp_path, origin)).path)

    assert contents((await refresh(tmp_path, origin)).path) == before


async def test_branch_that_is_not_there_is_named(tmp_path: Path, origin: Path) -> None:
    with pytest.raises(ImageError, match=r"branch 'nope': git clone failed (.*\n)+.*nope"):
        await refresh(tmp_path, origin, "nope")


async def test_failed_clone_leaves_nothing_in_the_way(tmp_path: Path, origin: Path) -> None:
    with pytest.raises(ImageError):
        await refresh(tmp_path, origin, "later")
    git(origin, "branch", "later")

    assert (await refresh(tmp_path, origin, "later")).branch == "later"


async def test_folder_outside_git_has_no_commit(tmp_path: Path) -> None:
    assert await git_sha(tmp_path) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://me:secret@example.com/r.git", "https://example.com/r.git"),
        ("https://token@example.com/r.git", "https://example.com/r.git"),
        ("https://example.com/r.git", "https://example.com/r.git"),
        ("git@example.com:me/r.git", "git@example.com:me/r.git"),
        ("ssh://git@example.com/r.git", "ssh://git@example.com/r.git"),
        ("/home/me@work/r", "/home/me@work/r"),
    ],
)
def test_passwords_are_not_shown(url: str, expected: str) -> None:
    assert without_password(url) == expected


PASSWORD = "p@ss/word"
AUTHORIZATION = "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()


class PrivateFiles(SimpleHTTPRequestHandler):
    """Serves files to those who know the password."""

    def do_GET(self) -> None:
        if self.headers.get("Authorization") == AUTHORIZATION:
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="r"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def private(tmp_path: Path, origin: Path) -> Iterator[str]:
    """The URL, with a password, of a server's copy of the repository."""
    git(tmp_path, "clone", "-q", "--bare", str(origin), "served/r.git")
    git(tmp_path / "served/r.git", "update-server-info")
    handler = partial(PrivateFiles, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://me:p%40ss%2Fword@127.0.0.1:{server.server_port}/r.git"
        server.shutdown()


async def test_password_reaches_the_server_and_no_argument(
    tmp_path: Path, private: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, real = tmp_path / "arguments", shutil.which("git")
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin" / "git"
    wrapper.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{seen}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:/usr/bin:/bin")
    log = BuildLogWriter()

    for _ in range(2):  # cloned, then refreshed
        checkout = await GitClones(tmp_path / "cache").refresh(private, "main", log)

    shown = without_password(private)
    assert (checkout.path / "a").read_text() == "1"
    assert checkout.url == shown
    assert shown in seen.read_text()
    for place in (seen, checkout.path / ".git" / "config"):
        assert "p%40ss" not in place.read_text()
        assert PASSWORD not in place.read_text()


async def test_submodule_does_not_get_the_password_of_the_url(tmp_path: Path) -> None:
    with git_server(tmp_path) as server:
        commit = await git_sha(server.repository("me/secret", {"key": "private"}))
        work = server.repository("me/app", {"a": "1"})
        (work / ".gitmodules").write_text('[submodule "s"]\n\tpath = s\n\turl = ../secret.git\n')
        git(work, "add", ".gitmodules")
        git(work, "update-index", "--add", "--cacheinfo", f"160000,{commit},s")
        git(work, "commit", "-q", "-m", "two")
        git(work, "push", "-q", str(tmp_path / "me/app.git"), "main")
        server.password = "top"
        url = server.url.replace("http://", "http://me:top@") + "/me/app.git"

        with pytest.raises(ImageError, match="which neither submodules nor redirects get"):
            await GitClones(tmp_path / "cache").refresh(url, "main", BuildLogWriter())

        assert server.with_password() == {"/me/app"}


async def test_submodules_are_cloned_and_refreshed(
    tmp_path: Path, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")
    parent = tmp_path / "parent"
    parent.mkdir()
    git(parent, "init", "-q", "-b", "main")
    git(parent, "submodule", "add", "-q", str(origin), "sub")
    git(parent, "commit", "-q", "-m", "one")
    first = await refresh(tmp_path, parent)
    assert (first.path / "sub" / "a").read_text() == "1"

    (origin / "a").write_text("2")
    git(origin, "commit", "-q", "-a", "-m", "two")
    git(parent / "sub", "pull", "-q")
    git(parent, "commit", "-q", "-a", "-m", "two")

    second = await refresh(tmp_path, parent)

    assert (second.path / "sub" / "a").read_text() == "2"
