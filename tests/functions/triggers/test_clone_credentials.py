"""The token of a trigger reaches its repository and nothing else.

A commit is pushed, the webhook launches it, and the script of its build runs with real git, against
`git http-backend` behind TLS. One password opens every private repository of the server, as the
token of a person does.
"""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.events.handlers import EventHooks
from chalicelib.people.port import Identity
from chalicelib.secrets.injection import user_scope
from chalicelib.triggers.port import GitRef
from chalicelib.triggers.webhooks import Hooks
from conducto_core.errors import RefusedError
from conducto_core.people.model import Member, Role
from conducto_core.programs.git_launch import GitLaunch
from conducto_core.triggers import model as t
from support.certificates import certificate_authority
from support.cloud.builds import build_file, build_inputs
from support.cloud.world import ME, World
from support.git_provider import GitHost, git_host
from support.git_server import GitServer, git, git_server
from support.webhooks import github_headers, github_pull_request, github_push, packed

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "gh/p token|%41"
CONFIG = "[push]\ncommand = python p.py\n[pr]\ncommand = python p.py\n"
#: A docker client that keeps the cloned files.
DOCKER = """#!/bin/sh
case $1 in
  build) for last; do :; done; [ ! -e "$last/.git" ] || cp -R "$last" "$CLONED" ;;
  image) case "$*" in *Entrypoint*|*WorkingDir*) echo null ;; esac ;;
  run) echo /bin/sh ;;
esac
"""
#: Asks git for the password of a server of Git LFS, as git-lfs does, and fails without one.
LFS = """#!/bin/sh
printf 'protocol=https\\nhost=%s\\npath=%s\\n\\n' "$LFS_HOST" "$LFS_PATH" |
    git credential fill >"$LFS_SAID" || exit 1
cat
"""


class Site:
    """An installation, a Git server with TLS, and a trigger for its repository ``acme/app``."""

    def __init__(self, server: GitServer, api: GitHost, folder: Path, authority: Path) -> None:
        self.world = World()
        self.server = server
        self.api = api
        self.folder = folder
        self.authority = authority
        self.invoked: list[tuple[str, str, str]] = []
        hooks = self.world.trigger_hooks(
            self.invoked.append,
        )
        self.hooks = Hooks(
            None,
            lambda _event: None,
            hooks,
            EventHooks(
                self.world.cloud.records,
                self.world.cloud.secrets.vault,
                self.world.cloud.events.schedules,
                self.world.cloud.timing.clock,
                lambda _place: None,
            ),
        )
        self.world.people.join("acme", Member(user="ann", role=Role.ADMIN, joined=1.0))
        server.password = TOKEN
        api.tokens.add(TOKEN)
        self.work = server.repository("acme/app", {"pipeline.py": "print()"})
        server.repository("acme/secret", {"key": "private"})
        self.secret = ""
        self.add()

    def add(self, identity: Identity = ME, **more: Any) -> None:
        fields = {
            "provider": "github",
            "repository": f"{self.server.url}/acme/app",
            "api": self.api.url,
            "token": TOKEN,
            "forks": "approve",
            **more,
        }
        operations = self.world.services.triggers(identity)
        params, request = t.TriggerParams(name="app"), t.TriggerRequest.model_validate(fields)
        self.secret = asyncio.run(operations.put_trigger(params, request)).secret or ""

    def push(self, *, event: str = "push", fork: bool = False) -> t.Delivery:
        """Push the work tree, and receive its webhook; a fork has the same commit."""
        work, bare = self.work, self.server.folder / "acme/app.git"
        git(work, "add", "--all")
        git(work, "commit", "--quiet", "--allow-empty", "--message", "next")
        git(work, "push", "--quiet", str(bare), "main")
        sha = git(work, "rev-parse", "HEAD")
        self.api.files["acme/app", sha, t.CONFIG_FILE] = CONFIG
        source = {"id": 1, "full_name": "acme/app", "clone_url": f"{self.server.url}/acme/app.git"}
        payload = {**github_push(sha=sha), "repository": source}
        if event == "pull_request":
            payload = {**github_pull_request(fork=fork), "repository": source}
            head = {"ref": "main", "sha": sha, "repo": source}
            if fork:
                head["repo"] = {"id": 2, "clone_url": f"{self.server.url}/eve/app.git"}
            payload["pull_request"].update(head=head, base={"ref": "main", "repo": source})
        body = packed(payload)
        headers = github_headers(event, body, delivery=sha, secret=self.secret)
        assert self.hooks.receive("acme~app", headers, body).status == 202
        self.server.requests.clear()
        self.world.services.trigger_run.process(*self.invoked.pop(0))
        listed = self.world.services.triggers(ME).list_deliveries(t.TriggerParams(name="app"))
        return asyncio.run(listed).deliveries[0]

    def submodule(self, *urls: str) -> None:
        """Add submodules to the work tree, without asking their servers."""
        commit = git(self.server.folder / "work/acme/secret", "rev-parse", "HEAD")
        for number, url in enumerate(urls):
            name = f"sub{number}"
            with (self.work / ".gitmodules").open("a") as file:
                file.write(f'[submodule "{name}"]\n\tpath = {name}\n\turl = {url}\n')
            entry = f"160000,{commit},{name}"
            git(self.work, "update-index", "--add", "--cacheinfo", entry)
            (self.work / name).mkdir(exist_ok=True)
        git(self.work, "add", ".gitmodules")
        git(self.work, "commit", "--quiet", "--message", "submodules")

    def build(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the script of the image's build as the build service does."""
        recipe = self.folder / "recipe"
        with tarfile.open(fileobj=io.BytesIO(build_file(self.world, "recipe.tar.gz"))) as archive:
            archive.extractall(recipe, filter="data")
        (self.folder / "inputs.env").write_text(build_inputs(self.world))
        docker = self.folder / "bin" / "docker"
        docker.parent.mkdir()
        docker.write_text(DOCKER)
        docker.chmod(0o755)
        env = {
            "PATH": f"{docker.parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "IMAGE": "registry.invalid/i:1",
            "CLONED": str(self.cloned),
            "RESULT": str(self.folder / "result.json"),
            "GIT_SSL_CAINFO": str(self.authority),
            **variables,
        }
        script = "set -a; . ../inputs.env; set +a; LOGIN_URL= PUSH= exec sh build.sh"
        return subprocess.run(
            ["sh", "-c", script], cwd=recipe, env=env, capture_output=True, text=True, check=False
        )

    @property
    def cloned(self) -> Path:
        """The files of the image's code."""
        return self.folder / "cloned"


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    return certificate_authority(tmp_path)


@contextmanager
def started(folder: Path, tls: tuple[ssl.SSLContext, Path]) -> Iterator[Site]:
    served = folder / "served"
    served.mkdir()
    context, authority = tls
    with git_host() as api, git_server(served, "localhost", context) as server:
        yield Site(server, api, folder, authority)


@pytest.fixture
def site(tmp_path: Path, tls: tuple[ssl.SSLContext, Path]) -> Iterator[Site]:
    with started(tmp_path, tls) as made:
        yield made


def test_private_repository_is_cloned_with_the_token(site: Site) -> None:
    assert site.push().result is t.DeliveryResult.LAUNCHED

    done = site.build()

    assert done.returncode == 0, done.stdout + done.stderr
    assert (site.cloned / "pipeline.py").exists()
    assert site.server.with_password() == {"/acme/app"}


@pytest.mark.parametrize(
    "url",
    [
        "{}/acme/secret.git",
        "{}/acme/secret",
        "../secret.git",
        "{}/acme/app.git/../secret.git",
        "{}/acme/app.git/%2e%2e/secret.git",
        "{}/acme/app.git/../../acme/secret.git",
    ],
)
def test_submodule_that_a_commit_adds_gets_no_token(site: Site, url: str) -> None:
    site.submodule(url.format(site.server.url))
    site.push()

    done = site.build()

    assert done.returncode == 1
    assert "its submodules cannot be cloned" in done.stderr
    assert "conducto trigger add" in done.stderr
    assert site.server.with_password() == {"/acme/app"}
    assert not site.cloned.exists()


def test_submodule_with_the_user_of_the_token_gets_none(site: Site) -> None:
    address = site.server.url.replace("https://", "https://x-access-token@")
    site.submodule(f"{address}/acme/secret.git")
    site.push()

    assert site.build().returncode == 1
    assert site.server.with_password() == {"/acme/app"}


def test_public_submodule_is_cloned(site: Site) -> None:
    site.server.public.add("acme/secret")
    site.submodule("../secret.git")
    site.push()

    done = site.build()

    assert done.returncode == 0, done.stdout + done.stderr
    assert (site.cloned / "sub0/key").read_text() == "private"
    assert site.server.with_password() == {"/acme/app"}


def test_submodule_that_an_administrator_lists_gets_the_token(site: Site) -> None:
    site.server.repository("acme/other", {"key": "other"})
    site.add(submodules=[f"{site.server.url}/acme/secret"])
    site.submodule("../secret.git")
    site.push()

    done = site.build()

    assert done.returncode == 0, done.stdout + done.stderr
    assert (site.cloned / "sub0/key").read_text() == "private"
    assert site.server.with_password() == {"/acme/app", "/acme/secret"}


def test_submodule_beside_a_listed_one_gets_no_token(site: Site) -> None:
    site.server.repository("acme/other", {"key": "other"})
    site.add(submodules=[f"{site.server.url}/acme/secret.git"])
    site.submodule("../secret.git", "../other.git")
    site.push()

    assert site.build().returncode == 1
    assert site.server.with_password() == {"/acme/app", "/acme/secret"}


def test_only_administrators_list_submodules_and_only_of_the_same_host(site: Site) -> None:
    member = Identity("acme", "ann", frozenset({"read", "launch"}))
    with pytest.raises(RefusedError, match="only administrators list submodules"):
        site.add(member, submodules=[f"{site.server.url}/acme/secret"])
    with pytest.raises(RefusedError, match=r"evil\.example\.com/acme/secret is not at the host"):
        site.add(submodules=["https://evil.example.com/acme/secret"])


def test_fork_gets_no_token(site: Site) -> None:
    site.server.repository("eve/app", {"pipeline.py": "steal()"})
    waiting = site.push(event="pull_request", fork=True)
    params = t.DeliveryParams(name="app", delivery=waiting.id)
    operations = site.world.services.triggers(ME)
    assert asyncio.run(operations.approve_delivery(params)).result is t.DeliveryResult.LAUNCHED

    done = site.build()

    assert done.returncode == 1
    assert "cannot be cloned" in done.stderr
    assert TOKEN not in build_inputs(site.world)
    assert site.server.with_password() == set()
    with pytest.raises(RefusedError, match="is not the repository of the trigger 'app'"):
        site.world.cloud.git.tokens.lent_address(
            "acme", f"{site.server.url}/eve/app.git", trigger="app"
        )


def test_pull_request_of_the_repository_gets_the_token(site: Site) -> None:
    assert site.push(event="pull_request").result is t.DeliveryResult.LAUNCHED

    assert site.build().returncode == 0
    assert site.server.with_password() == {"/acme/app"}


def test_redirect_to_another_repository_gets_no_token(site: Site) -> None:
    site.push()
    site.server.moved["/acme/app.git"] = f"{site.server.url}/acme/secret.git"

    done = site.build()

    assert done.returncode == 1
    assert "the server redirects" in done.stderr
    assert site.server.with_password() <= {"/acme/app"}


def test_redirect_to_another_host_gets_no_token(
    site: Site, tls: tuple[ssl.SSLContext, Path], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    site.push()
    with git_server(elsewhere, "localhost", tls[0]) as evil:
        evil.password = "any"
        site.server.moved["/acme/app.git"] = f"{evil.url}/acme/app.git"

        assert site.build().returncode == 1
        assert evil.requests == []


def test_submodule_that_redirects_to_a_private_repository_gets_no_token(
    site: Site, tls: tuple[ssl.SSLContext, Path], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with git_server(elsewhere, "localhost", tls[0]) as evil:
        evil.moved["/lib.git"] = f"{site.server.url}/acme/secret.git"
        site.submodule(f"{evil.url}/lib.git")
        site.push()

        assert site.build().returncode == 1
        assert ("/lib.git", True) not in {(path, bool(given)) for path, given in evil.requests}
    assert site.server.with_password() == {"/acme/app"}


@pytest.mark.parametrize("path", ["", "acme/app.git/info/lfs", "acme/secret.git/info/lfs"])
def test_server_of_git_lfs_gets_no_token(site: Site, path: str) -> None:
    lfs, said = site.folder / "lfs", site.folder / "said"
    lfs.write_text(LFS)
    lfs.chmod(0o755)
    config = site.folder / "gitconfig"
    config.write_text(f'[filter "lfs"]\n\tsmudge = {lfs}\n\tclean = cat\n\trequired = true\n')
    (site.work / ".gitattributes").write_text("data filter=lfs\n")
    (site.work / "data").write_text("pointer")
    site.push()

    host = site.server.url.removeprefix("https://")
    done = site.build(
        GIT_CONFIG_GLOBAL=str(config), LFS_HOST=host, LFS_PATH=path, LFS_SAID=str(said)
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert said.read_text() == ""
    assert (site.cloned / "data").read_text() == "pointer"


def test_submodule_of_a_launch_from_git_gets_no_token_of_the_user() -> None:
    class Refs:
        def find(self, _url: str, ref: str) -> GitRef:
            return GitRef(ref, "a" * 40)

    world = World(refs=Refs())
    world.vault.replace(user_scope("acme", "ann"), {"GITHUB_TOKEN": {"value": "ghp_mine"}}, "")
    request = GitLaunch(url="https://github.com/acme/app")
    asyncio.run(world.pipelines().launch_from_git(request))

    inputs = build_inputs(world)
    assert "https://github.com/acme/app\nx-access-token\nghp_mine" in inputs
    assert "SUBMODULE" not in inputs
