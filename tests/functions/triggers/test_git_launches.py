"""Launches from a Git repository in the cloud, with Git's own server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from chalicelib.images.git_clones import GitClones
from chalicelib.schedules.handlers import serve_schedules
from chalicelib.secrets.injection import user_scope
from chalicelib.triggers.port import GitRef, RepositoryDeniedError
from chalicelib.triggers.providers import HttpGitRefs
from conducto.integrations.http import DeliveryError
from conducto_core.errors import RefusedError
from conducto_core.images.model import ImageSources, ImageSpec
from conducto_core.people.model import Member, Role
from conducto_core.programs.git_launch import GitLaunch
from conducto_core.schedules.model import Firing, FiringState, NewSchedule, ScheduleParams
from support.cloud.builds import build_inputs, build_recipe
from support.cloud.world import ME, World
from support.git_server import GitServer, git, git_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conducto_core.run.model.requests import PipelineSummary


class Site:
    """An installation, and a server with the repository ``acme/app``."""

    def __init__(self, server: GitServer) -> None:
        self.world = World()
        self.server = server
        self.url = f"{server.url}/acme/app"
        self.work = server.repository("acme/app", {"pipeline.py": "print()"})
        self.commit = git(self.work, "rev-parse", "HEAD")

    def launch(self, **fields: Any) -> PipelineSummary:
        request = GitLaunch.model_validate({"url": self.url, **fields})
        return asyncio.run(self.world.pipelines().launch_from_git(request))

    def clone_of(self, pipeline: str) -> ImageSources:
        launch = asyncio.run(self.world.pipelines().stored_launch(pipeline))
        return launch.sources["repository"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with git_server(tmp_path) as server:
        yield Site(server)


def test_script_is_launched_from_the_commit_of_a_ref(site: Site) -> None:
    git(site.work, "tag", "--annotate", "v1", "--message", "x")
    git(site.work, "checkout", "--quiet", "-b", "feature/x")
    git(site.work, "commit", "--quiet", "--allow-empty", "--message", "second")
    git(site.work, "push", "--quiet", "--tags", f"{site.server.folder}/acme/app.git", "feature/x")
    second = git(site.work, "rev-parse", "HEAD")

    for ref, branch, commit in (
        (None, "main", site.commit),
        ("feature/x", "feature/x", second),
        ("v1", "v1", site.commit),
        (second, "main", second),
    ):
        launched = site.launch(ref=ref, arguments=["nightly", "--name=a b"]).pipeline
        source = site.clone_of(launched.id)
        assert source.clone is not None
        assert (source.clone.branch, source.clone.commit) == (branch, commit)
        assert source.code_env["CONDUCTO_GIT_SHA"] == commit
    assert launched.title == "acme/app pipeline.py nightly '--name=a b'"
    assert launched.owner == "ann"
    generate = site.world.nodes(launched.id)["/Generate"]
    assert generate.command == "python pipeline.py nightly '--name=a b'"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ref": "gone"}, "ref: .* has no branch or tag 'gone'$"),
        ({"ref": "0123456"}, "ref: .* has no branch or tag '0123456'; a commit needs its full"),
        ({"url": "acme/other"}, "url: .*/other does not exist, or is private; if it is private, c"),
    ],
)
def test_error_names_the_field_and_the_remedy(
    site: Site, fields: dict[str, str], reason: str
) -> None:
    if "url" in fields:
        fields = {"url": f"{site.server.url}/{fields['url']}"}
    with pytest.raises(RefusedError, match=reason):
        site.launch(**fields)
    assert list(site.world.store.records("acme", after=None, limit=10)[0]) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "https://me:secret@github.com/acme/app"},
        {"url": "git@github.com:acme/app.git"},
        {"ref": "--upload-pack=x"},
        {"script": "-c.py"},
        {"script": "/etc/x.py"},
    ],
)
def test_unsafe_request_is_invalid(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        GitLaunch.model_validate({"url": "https://github.com/acme/app", **fields})


def test_empty_repository_is_named(site: Site) -> None:
    git(site.server.folder, "init", "--quiet", "--bare", "empty.git")
    with pytest.raises(RefusedError, match="has no commits yet"):
        site.launch(url=f"{site.server.url}/empty")


@pytest.mark.parametrize("url", ["git@example.com:a.git", "/srv/a.git"])
def test_firing_fails_if_the_address_has_no_web_server(site: Site, url: str) -> None:
    firing = firing_of(site, url)

    assert firing.state is FiringState.FAILED
    assert firing.why == f"url: {url}: the address must start with https://"


def test_private_repository_needs_a_password(site: Site) -> None:
    site.server.password = "top"
    refs = HttpGitRefs(public_only=False)
    with pytest.raises(RepositoryDeniedError):
        refs.find(site.url, "main")
    secret = site.url.replace("http://", "http://x:top@")
    assert refs.find(secret, "main") == GitRef("main", site.commit)
    with pytest.raises(RefusedError, match="is private; if it is private, create a git trigger"):
        site.launch()


def test_only_public_servers_are_called_in_an_account(site: Site) -> None:
    with pytest.raises(DeliveryError, match="is not a public address"):
        HttpGitRefs(public_only=True).find(site.url, "main")


class Refs:
    """Notes the addresses that are requested."""

    def __init__(self) -> None:
        self.urls: list[str] = []

    def find(self, url: str, ref: str) -> GitRef:
        self.urls.append(url)
        return GitRef(ref, "a" * 40)


def test_token_of_the_caller_is_sent_only_to_its_host() -> None:
    refs = Refs()
    world = World(refs=refs)
    world.vault.replace(user_scope("acme", "ann"), {"GITHUB_TOKEN": {"value": "t/k"}}, "")
    urls = [
        "https://github.com/a/b",
        "https://github.com.example.org/a/b",
        "https://gitlab.com/a/b",
    ]
    images = [ImageSpec(name=url, image="x", copy_url=url, copy_branch="main") for url in urls]
    found = GitClones(world.cloud.records, world.cloud.git, ME).with_clones(images, {})

    assert refs.urls == ["https://x-access-token:t%2Fk@github.com/a/b", *urls[1:]]
    clones = [found[url].clone for url in urls]
    assert [(one.url, one.user) for one in clones if one is not None] == [
        (urls[0], "ann"),
        (urls[1], None),
        (urls[2], None),
    ]


def test_token_of_the_caller_is_read_when_the_image_is_built() -> None:
    world = World(refs=Refs())
    secrets = {"GITHUB_TOKEN": {"value": "ghp_mine"}}
    world.vault.replace(user_scope("acme", "ann"), secrets, "")
    request = GitLaunch(url="https://github.com/a/b")
    launched = asyncio.run(world.pipelines().launch_from_git(request)).pipeline
    assert "ghp_mine" in build_inputs(world)
    stored = asyncio.run(world.pipelines().stored_launch(launched.id))
    assert "ghp_mine" not in stored.model_dump_json() + build_recipe(world)
    scope = user_scope("acme", "ann")
    world.vault.replace(scope, {}, world.vault.read_version(scope)[1])
    with pytest.raises(RefusedError, match="ann has no secret GITHUB_TOKEN any more"):
        world.cloud.git.tokens.lent_address("acme", request.url, user="ann")


def firing_of(site: Site, url: str) -> Firing:
    """Return the firing of a schedule that launches from a repository, after it was served."""
    site.world.people.join("acme", Member(user="ann", role=Role.MEMBER, joined=1.0))
    operations = site.world.services.schedules(ME)
    what = {"kind": "git", "url": url, "command": "python pipeline.py"}
    schedule = NewSchedule.model_validate({"name": "nightly", "cron": "0 0 * * *", "what": what})
    asyncio.run(operations.create_schedule(schedule))
    asyncio.run(operations.fire_schedule(ScheduleParams(name="nightly")))
    serve_schedules(site.world.services.schedule_runner(), site.world.cloud.timing.clock)
    (firing,) = site.world.schedules.firings("acme", "nightly", limit=1)
    return firing


def test_schedule_launches_from_the_current_commit(site: Site) -> None:
    firing = firing_of(site, site.url)

    assert (firing.state, firing.why) == (FiringState.LAUNCHED, None)
    clone = site.clone_of(str(firing.pipeline)).clone
    assert clone is not None
    assert clone.commit == site.commit
