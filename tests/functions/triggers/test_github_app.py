"""The GitHub App of an organisation: creation by a manifest, tokens, webhooks and clones.

GitHub is a real HTTP server that checks the signatures (`support.github_apps`).
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from pydantic import ValidationError

from chalicelib.api.dispatch import Request
from chalicelib.events.handlers import EventHooks
from chalicelib.images.git_clones import GitClones
from chalicelib.people.port import Identity
from chalicelib.people.tokens import membership_digest
from chalicelib.triggers.github_app import request_missed
from chalicelib.triggers.handlers import CloudGithubApp, CloudTriggers
from chalicelib.triggers.port import GitRef, RepositoryDeniedError
from chalicelib.triggers.tokens import app_scope
from chalicelib.triggers.webhooks import Hooks
from conducto.integrations.http import DeliveryError
from conducto_core.api.cloud_operations import OWN_BUILDS
from conducto_core.api.idempotency import MemoryResponses
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.images.model import ImageSpec
from conducto_core.notifications.channels import Settings
from conducto_core.people.model import Member, Role
from conducto_core.people.rules import INHERITED
from conducto_core.programs.model import LaunchAgain
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import ImageState
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.operations import CONTINUE, CONTROL, LAUNCH
from conducto_core.triggers import model as g
from conducto_core.triggers import model as t
from support.cloud.builds import build_inputs, build_recipe
from support.cloud.world import ME, STRANGER, World, with_ports
from support.git_provider import GitHost, git_host
from support.trees import form, leaf, serial
from support.webhooks import SHA, github_headers, github_push, packed

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = "[push]\ncommand = python p.py {branch}\n"
HOOK = "acme~~github"
REDIRECT = "http://127.0.0.1:1/"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        """Follow nothing."""


class Site:
    """An installation, and a GitHub server."""

    def __init__(self, host: GitHost) -> None:
        self.world = World()
        self.host = host
        host.apps.clock = lambda: self.world.now
        self.world.people.join("acme", Member(user="ann", role=Role.OWNER, joined=1.0))
        self.invoked: list[tuple[str, str, str]] = []
        self.hooks = Hooks(
            None,
            lambda _event: None,
            self.world.trigger_hooks(
                self.invoked.append,
            ),
            EventHooks(
                self.world.cloud.records,
                self.world.cloud.secrets.vault,
                self.world.cloud.events.schedules,
                self.world.cloud.timing.clock,
                lambda _place: None,
            ),
        )
        self.repository = f"{host.url}/acme/app"
        host.files["acme/app", SHA, t.CONFIG_FILE] = CONFIG
        host.refs["acme/app", "main"] = SHA
        host.tokens.clear()

    def of(self, identity: Identity = ME) -> CloudTriggers:
        return self.world.services.triggers(identity)

    def app(self, identity: Identity = ME) -> CloudGithubApp:
        return self.world.services.github_app(identity)

    def start(self, **more: Any) -> g.GithubAppStart:
        given = {"title": "Conducto acme", "host": self.host.url, "redirect": REDIRECT, **more}
        request = g.GithubAppRequest.model_validate(given)
        return asyncio.run(self.app().start_github_app(request))

    def created_at_github(self, begun: g.GithubAppStart) -> g.GithubAppCode:
        """Post the form as a browser does; return the code that GitHub sends."""
        data = urlencode({"manifest": begun.manifest}).encode()
        opener = urllib.request.build_opener(NoRedirect())
        with pytest.raises(urllib.error.HTTPError) as caught:
            opener.open(begun.address, data, timeout=10)
        with caught.value as response:
            location = response.headers["Location"]
        assert location.startswith(REDIRECT)
        query = parse_qs(urlsplit(location).query)
        return g.GithubAppCode(code=query["code"][0], state=query["state"][0])

    def finish(self, code: g.GithubAppCode, identity: Identity = ME) -> g.GithubApp:
        return asyncio.run(self.app(identity).finish_github_app(code))

    def create(self) -> g.GithubApp:
        app = self.finish(self.created_at_github(self.start()))
        self.host.apps.installed["acme/app"] = 77
        return app

    def add(self, identity: Identity = ME, **more: Any) -> t.NewTrigger:
        fields = {"provider": "github", "repository": self.repository, "app": True, **more}
        request = t.TriggerRequest.model_validate(fields)
        return asyncio.run(self.of(identity).put_trigger(t.TriggerParams(name="app"), request))

    @property
    def webhook_secret(self) -> str:
        (app,) = self.host.apps.apps.values()
        return app.webhook_secret

    def push(self, hook: str = HOOK, secret: str | None = None, **more: Any) -> int:
        source = {
            "id": 1,
            "full_name": "acme/app",
            "clone_url": f"{self.host.url}/acme/app.git",
        }
        body = packed(github_push(**{"repository": source, "time": self.world.now, **more}))
        headers = github_headers("push", body, secret=secret or self.webhook_secret)
        return self.hooks.receive(hook, headers, body).status

    def process(self) -> t.Delivery:
        while self.invoked:
            self.world.services.trigger_run.process(*self.invoked.pop(0))
        found = asyncio.run(self.of().list_deliveries(t.TriggerParams(name="app")))
        return found.deliveries[0]


@pytest.fixture
def site() -> Iterator[Site]:
    with git_host() as host:
        yield Site(host)


def test_app_is_created_by_its_manifest_and_keys_are_in_the_vault_only(site: Site) -> None:
    begun = site.start(account="acme-inc")
    manifest = json.loads(begun.manifest)
    app = site.finish(site.created_at_github(begun))
    (made,) = site.host.apps.apps.values()

    assert urlsplit(begun.address).path == "/organizations/acme-inc/settings/apps/new"
    assert manifest["hook_attributes"]["url"] == "https://api.invalid/api/v1/hooks/acme~~github"
    assert manifest["default_permissions"]["statuses"] == "write"
    assert manifest["public"] is False
    assert (app.id, app.slug, app.api) == (made.id, "conducto-acme", f"{site.host.url}/api/v3")
    kept = site.world.vault.read(app_scope("acme"))
    assert {key: entry["value"] for key, entry in kept.items()} == {
        "private_key": made.private_key,
        "webhook_secret": made.webhook_secret,
    }
    shown = repr(app) + app.model_dump_json() + asyncio.run(site.app().get_github_app()).__repr__()
    assert made.webhook_secret not in shown
    assert "PRIVATE KEY" not in shown


def test_only_the_person_who_began_it_finishes_an_app_within_an_hour(site: Site) -> None:
    code = site.created_at_github(site.start())
    bob = Identity("acme", "bob", ME.permissions)
    for given, caller in (
        (code.model_copy(update={"state": "x"}), ME),  # another page's
        (code, bob),
        (code, STRANGER),
    ):
        with pytest.raises(RefusedError, match="start again"):
            site.finish(given, caller)
    site.world.now += 3601
    with pytest.raises(RefusedError, match="start again"):
        site.finish(code)
    site.world.now -= 3601
    site.finish(code)
    with pytest.raises(RefusedError, match="has the GitHub App conducto-acme already"):
        site.finish(code)


def test_used_code_is_refused_without_an_app(site: Site) -> None:
    code = site.created_at_github(site.start())
    site.host.apps.codes.clear()

    with pytest.raises(RefusedError, match="GitHub did not accept the code"):
        site.finish(code)
    assert asyncio.run(site.app().get_github_app()).app is None


def test_push_launches_with_a_token_of_the_installation_and_gets_a_check(site: Site) -> None:
    site.create()
    made = site.add()
    assert site.push() == 202
    delivery = site.process()

    assert (made.hook_url, made.secret, made.trigger.app) == (None, None, True)
    assert delivery.result is t.DeliveryResult.LAUNCHED
    record = site.world.store.record("acme", str(delivery.pipeline))
    assert record is not None
    request = LaunchRequest(tree=form(serial(leaf("a"))), run=True)
    asyncio.run(site.world.pipelines().launch(request, origin=record.git))
    site.world.run_out(lambda _: None)
    (repositories, permissions, _) = next(iter(site.host.apps.tokens.values()))
    assert (repositories, permissions["contents"]) == (["acme/app"], "read")
    assert len(site.host.apps.tokens) == 1  # one token serves an hour
    site.host.apps.tokens.clear()  # GitHub revokes it
    site.world.sender(
        settings=Settings(),
    ).run()
    # The pipeline of the push has a check, too, and it has not ended.
    assert "success" in {run.get("conclusion") for run in site.host.checks.runs}
    assert site.host.apps.refused == []


def test_clone_gets_a_fresh_token_when_its_image_is_built(site: Site) -> None:
    site.create()
    site.add()
    site.push()
    pipeline = str(site.process().pipeline)
    shown = asyncio.run(site.world.pipelines().get_definition(PipelineParams(id=pipeline)))
    clone = shown.sources["code"].clone
    assert clone is not None
    first = build_inputs(site.world)
    site.world.now += 7200
    again = asyncio.run(
        site.world.pipelines().launch_again(PipelineParams(id=pipeline), LaunchAgain(run=False))
    )
    site.world.now += 7200  # a token of the launch would have expired
    site.world.builder.statuses["images:1"] = "failed"
    site.world.control(again.pipeline.id, "run")
    second = build_inputs(site.world)

    assert (clone.url, clone.trigger) == (f"{site.repository}.git", "app")
    # The build that failed without output after so long is started again.
    old, failed, new = site.host.apps.tokens
    assert (old in first, new in second) == (True, True)
    assert (old in second, failed in second) == (False, False)
    recipe = build_recipe(site.world)
    assert (old in recipe, new in recipe, "CONDUCTO_GIT_LOGIN=" in recipe) == (False, False, False)


def test_listed_submodule_is_cloned_with_its_own_token_of_the_app(site: Site) -> None:
    site.create()
    site.host.apps.installed["acme/lib"] = 77
    with pytest.raises(RefusedError, match="is not installed for acme/gone"):
        site.add(submodules=[f"{site.host.url}/acme/gone"])
    site.add(submodules=[f"{site.host.url}/acme/lib"])
    site.push()
    assert site.process().result is t.DeliveryResult.LAUNCHED

    inputs = build_inputs(site.world)

    tokens = {name: token for token, (names, *_) in site.host.apps.tokens.items() for name in names}
    assert f"/acme/app\nx-access-token\n{tokens['acme/app']}'" in inputs
    assert f"/acme/lib\nx-access-token\n{tokens['acme/lib']}'" in inputs


def test_build_waits_while_github_is_down_and_fails_without_an_installation(site: Site) -> None:
    site.create()
    site.add()
    site.push()
    pipeline = str(site.process().pipeline)
    site.world.control(pipeline, "pause")
    again = asyncio.run(
        site.world.pipelines().launch_again(PipelineParams(id=pipeline), LaunchAgain(run=False))
    ).pipeline.id
    site.world.builder.statuses["images:1"] = "failed"
    site.world.now += 7200
    site.host.down = True
    site.world.control(again, "run")
    (waiting,) = site.world.get(again).images
    site.host.down = False
    site.host.apps.installed.clear()
    site.world.minute()
    (failed,) = site.world.get(again).images

    assert (waiting.state, "answered 503" in (waiting.error or "")) == (ImageState.QUEUED, True)
    assert failed.state is ImageState.ERROR
    assert "is not installed for acme/app" in (failed.error or "")


def test_temporary_error_of_github_is_not_final(site: Site) -> None:
    site.create()
    site.add()
    site.world.now += 7200
    site.host.down = True
    with pytest.raises(DeliveryError) as caught:
        site.world.cloud.git.tokens.lent_address("acme", site.repository, trigger="app")
    assert caught.value.temporary


def test_revoked_token_is_replaced(site: Site) -> None:
    site.create()
    site.add()
    site.host.apps.tokens.clear()
    site.push()

    assert site.process().result is t.DeliveryResult.LAUNCHED
    site.host.apps.tokens.clear()
    params, request = t.TriggerParams(name="app"), t.TriggerTrial(branch="main")
    assert asyncio.run(site.of().test_trigger(params, request)).section == "push"


class Refs:
    """Notes the addresses that are requested."""

    def __init__(self) -> None:
        self.urls: list[str] = []

    def find(self, url: str, ref: str) -> GitRef:
        self.urls.append(url)
        if len(self.urls) == 1:
            raise RepositoryDeniedError("denied")
        return GitRef(ref, SHA)


def test_launch_from_git_stores_the_trigger_and_no_token(site: Site) -> None:
    site.create()
    site.add()
    refs = Refs()
    cloud = with_ports(site.world.cloud, refs=refs)
    image = ImageSpec(name="x", image="base:1", copy_url=site.repository, copy_branch="main")
    clone = GitClones(cloud.records, cloud.git, ME).with_clones([image], {})["x"].clone

    tokens = list(site.host.apps.tokens)  # the second one after GitHub rejected the first one
    assert [token in url for token, url in zip(tokens, refs.urls, strict=True)] == [True, True]
    assert clone is not None
    assert (clone.url, clone.trigger) == (site.repository, "app")


def test_request_that_names_a_trigger_gets_no_token(site: Site) -> None:
    site.create()
    site.add()
    site.host.apps.tokens.clear()
    site.world.now += 7200  # the token that is cached has expired
    pipeline = site.world.launch(serial(leaf("a")), run=False)
    image = {"name": "x", "image": "base:1", "copy_url": site.repository, "copy_branch": "main"}
    clone = {"url": site.repository, "branch": "main", "commit": SHA, "trigger": "app"}
    sources = {"x": {"clone": clone}}
    launch = {"tree": form(serial("a", image_name="x"), {"x": image}), "sources": sources}
    site.world.people.join("acme", Member(user="bob", role=Role.MEMBER, joined=1.0))
    inherited = Identity("acme", "bob", INHERITED)
    parent = membership_digest("acme", "bob")
    site.world.tokens.put("digest", inherited, expires=None, parent=parent)
    member = site.world.tokens.find("digest")
    api = site.world.services.api(lambda _caller: MemoryResponses())

    for operation, params, body in (
        (OWN_BUILDS, {}, launch),
        (LAUNCH, {}, launch),
        (CONTINUE, {"id": pipeline}, {"launch": launch}),
        (CONTROL, {"id": pipeline}, {"action": "rebuild", "paths": ["/"], "sources": sources}),
    ):
        headers = {"content-type": "application/json"}
        asked = Request(params, (), headers, json.dumps(body).encode())
        response = api.call(operation, member, asked)
        assert (response.status, b"cannot name the git trigger" in response.body) == (409, True)
    assert site.host.apps.tokens == {}
    assert not [name for name in site.world.blobs.names() if name.endswith("recipe.tar.gz")]


def test_forged_replayed_and_foreign_webhooks_of_the_app(site: Site) -> None:
    site.create()
    site.add()

    assert site.push(secret="forged") == 401
    assert site.push("other~~github") == 404
    assert site.push("acme~app") == 404  # the trigger has no webhook of its own
    other = {"id": 2, "full_name": "acme/other", "clone_url": f"{site.host.url}/acme/other.git"}
    assert site.push(repository=other) == 202
    assert site.invoked == []
    assert [site.push(), site.push()] == [202, 202]
    assert len(site.invoked) == 1


def test_app_that_is_not_installed_says_where_to_install_it(site: Site) -> None:
    app = site.create()
    site.host.apps.installed.clear()

    with pytest.raises(RefusedError, match="is not installed for acme/app") as caught:
        site.add()
    assert f"{app.page}/installations/new" in str(caught.value)


def test_removed_installation_fails_the_delivery_with_its_reason(site: Site) -> None:
    site.create()
    site.add()
    site.host.apps.installed.clear()
    site.world.now += 7200  # the token has expired
    site.push()
    delivery = site.process()

    assert delivery.result is t.DeliveryResult.FAILED
    assert "is not installed for acme/app" in (delivery.reason or "")


def test_token_is_sent_to_the_host_of_the_app_only(site: Site) -> None:
    site.create()
    with pytest.raises(RefusedError, match="the GitHub App is at"):
        site.add(repository="https://github.com/acme/app")
    site.add()
    evil = "https://evil.example.com/acme/app.git"
    with pytest.raises(RefusedError, match="not the repository"):
        site.world.cloud.git.tokens.lent_address("acme", evil, trigger="app")
    with pytest.raises(RefusedError, match="no trigger"):
        site.world.cloud.git.tokens.lent_address("other", site.repository, trigger="app")


def test_only_administrators_use_the_app(site: Site) -> None:
    site.create()
    member = Identity("acme", "bob", frozenset({"read", "launch"}))

    with pytest.raises(RefusedError, match="only administrators"):
        site.add(member)


def test_deleted_app_loses_its_keys_and_webhooks(site: Site) -> None:
    site.create()
    site.add()
    asyncio.run(site.app().delete_github_app())

    assert site.push() == 404
    assert site.world.vault.read(app_scope("acme")) == {}
    with pytest.raises(NotFoundError):
        asyncio.run(site.app().delete_github_app())
    with pytest.raises(RefusedError, match="has no GitHub App"):
        site.add()


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect": "https://evil.example.com/"},
        {"redirect": "http://127.0.0.1:1/x?y"},
        {"account": "a/b"},
        {"title": "x" * 35},
        {"host": "ftp://github.com"},
    ],
)
def test_invalid_request_for_an_app_is_refused(site: Site, changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        site.start(**changed)


def test_keys_are_not_sent_without_encryption(site: Site) -> None:
    with pytest.raises(RefusedError, match="without encryption"):
        site.start(host="http://git.example.com")


def test_trial_shows_the_section_and_command_of_a_push(site: Site) -> None:
    site.create()
    site.add()

    def tried(branch: str) -> t.TrialResult:
        params, request = t.TriggerParams(name="app"), t.TriggerTrial(branch=branch)
        return asyncio.run(site.of().test_trigger(params, request))

    found = tried("main")
    assert (found.sha, found.section, found.command) == (SHA, "push", "python p.py main")
    assert "there is no branch 'gone' in acme/app" in (tried("gone").reason or "")
    site.host.files["acme/app", SHA, t.CONFIG_FILE] = "[push]\ncommand = x\nfilter = {branch}\n"
    assert (tried("main").reason or "").startswith("line 3: filter: ")
    assert asyncio.run(site.of().list_deliveries(t.TriggerParams(name="app"))).deliveries == ()


# ---- webhooks that GitHub could not deliver -----------------------------------------------------


def _sent(number: int, guid: str, status: int, at: float) -> dict[str, Any]:
    time = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"id": number, "guid": guid, "status_code": status, "delivered_at": time}


def test_missed_webhooks_are_requested_again_every_ten_minutes(site: Site) -> None:
    site.create()
    now = site.world.now = 1_000_000 * 600.0
    site.host.apps.deliveries = [
        _sent(9, "throttled", 429, now - 10),
        _sent(8, "unreachable", 0, now - 20),
        _sent(7, "arrived", 202, now - 30),
        _sent(6, "repeated", 202, now - 40),
        _sent(5, "repeated", 503, now - 50),
        _sent(4, "forged", 401, now - 60),
        _sent(3, "old", 503, now - 3 * 600),
    ]

    request_missed(
        site.world.cloud.records,
        site.world.cloud.secrets.vault,
        site.world.cloud.git.github,
        site.world.cloud.timing.clock,
    )
    assert sorted(site.host.apps.redelivered) == [8, 9]

    site.world.now += 60
    request_missed(
        site.world.cloud.records,
        site.world.cloud.secrets.vault,
        site.world.cloud.git.github,
        site.world.cloud.timing.clock,
    )
    assert len(site.host.apps.redelivered) == 2


def test_webhooks_of_a_deleted_app_are_not_requested(site: Site) -> None:
    site.create()
    asyncio.run(site.app().delete_github_app())
    site.world.now = 1_000_000 * 600.0
    site.host.apps.deliveries = [_sent(9, "throttled", 429, site.world.now)]

    request_missed(
        site.world.cloud.records,
        site.world.cloud.secrets.vault,
        site.world.cloud.git.github,
        site.world.cloud.timing.clock,
    )

    assert site.host.apps.redelivered == []


def test_unreachable_github_is_asked_again_later(site: Site) -> None:
    site.create()
    site.world.now = 1_000_000 * 600.0
    site.host.down = True

    request_missed(
        site.world.cloud.records,
        site.world.cloud.secrets.vault,
        site.world.cloud.git.github,
        site.world.cloud.timing.clock,
    )

    site.host.down = False
    site.host.apps.deliveries = [_sent(9, "throttled", 429, site.world.now)]
    site.world.now += 600
    request_missed(
        site.world.cloud.records,
        site.world.cloud.secrets.vault,
        site.world.cloud.git.github,
        site.world.cloud.timing.clock,
    )
    assert site.host.apps.redelivered == [9]
