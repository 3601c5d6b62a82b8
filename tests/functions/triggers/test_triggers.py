"""Git triggers in the cloud: webhooks, launches, forks, and the status of the commit.

The provider is a real HTTP server (`support.git_provider`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from chalicelib.events.handlers import EventHooks
from chalicelib.people.port import Identity
from chalicelib.secrets.injection import inject_commands, org_scope
from chalicelib.triggers.handlers import CloudTriggers
from chalicelib.triggers.launches import in_turn
from chalicelib.triggers.providers import GitProviders
from chalicelib.triggers.tokens import trigger_scope
from chalicelib.triggers.triggers import MAX_WEBHOOKS
from chalicelib.triggers.webhooks import MAX_BODY, Hooks
from conducto.integrations.http import DeliveryError
from conducto_core.debug.model import DebugRequest
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.notifications.channels import Settings
from conducto_core.people.model import Member, Role
from conducto_core.programs.model import LaunchAgain
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import Lifecycle
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import Cause
from conducto_core.schedules.model import NewSchedule, ScheduleParams, ScheduleSettings
from conducto_core.secrets.model import PutSecrets, SecretValue
from conducto_core.secrets.rules import secret_access, secrets_user
from conducto_core.triggers import model as t
from support.cloud.builds import build_inputs, build_recipe
from support.cloud.world import ME, STRANGER, World
from support.git_provider import GitHost, git_host
from support.trees import form, leaf, serial
from support.webhooks import (
    SHA,
    generic_signed,
    github_headers,
    github_pull_request,
    github_push,
    github_ref,
    gitlab_headers,
    gitlab_push,
    packed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = "[push]\ncommand = python p.py {branch}\n[pr]\ncommand = python p.py pr\n"
REPOSITORY = "https://github.com/acme/app"


class Site:
    """An installation with one trigger, and the repository of its provider."""

    def __init__(self, host: GitHost) -> None:
        self.world = World()
        self.host = host
        self.world.people.join("acme", Member(user="ann", role=Role.MEMBER, joined=1.0))
        self.invoked: list[tuple[str, str, str]] = []
        hooks = self.world.trigger_hooks(
            self.invoked.append,
        )
        events = EventHooks(
            self.world.cloud.records,
            self.world.cloud.secrets.vault,
            self.world.cloud.events.schedules,
            self.world.cloud.timing.clock,
            lambda _place: None,
        )
        self.hooks = Hooks(None, lambda _event: None, hooks, events)
        self.run = self.world.services.trigger_run
        host.files["acme/app", SHA, t.CONFIG_FILE] = CONFIG
        host.refs["acme/app", "HEAD"] = SHA
        self.secret = self.add().secret

    def of(self, identity: Identity = ME) -> CloudTriggers:
        return self.world.services.triggers(identity)

    def add(self, identity: Identity = ME, **more: Any) -> t.NewTrigger:
        fields = {"provider": "github", "repository": REPOSITORY, "token": "token"}
        request = t.TriggerRequest.model_validate({**fields, "api": self.host.url, **more})
        made = asyncio.run(self.of(identity).put_trigger(t.TriggerParams(name="app"), request))
        self.secret = made.secret
        return made

    def send(self, event: str, payload: dict[str, Any], delivery: str = "d-1") -> int:
        body = packed(payload)
        headers = github_headers(event, body, delivery=delivery, secret=self.secret)
        return self.receive(headers, body)

    def receive(self, headers: dict[str, str], body: bytes, hook: str = "acme~app") -> int:
        return self.hooks.receive(hook, headers, body).status

    def process(self) -> t.Delivery:
        while self.invoked:
            self.run.process(*self.invoked.pop(0))
        return self.deliveries()[0]

    def deliveries(self) -> tuple[t.Delivery, ...]:
        params = t.TriggerParams(name="app")
        return asyncio.run(self.of().list_deliveries(params)).deliveries

    def pushed(self, **more: Any) -> t.Delivery:
        self.world.now += 1
        delivery = f"d-{self.world.now}"
        assert self.send("push", github_push(**more, time=self.world.now), delivery) == 202
        return self.process()


@pytest.fixture
def site() -> Iterator[Site]:
    with git_host() as host:
        yield Site(host)


def test_push_launches_the_section_with_the_code_of_the_commit(site: Site) -> None:
    delivery = site.pushed()

    assert (delivery.result, delivery.section) == (t.DeliveryResult.LAUNCHED, "push")
    record = site.world.store.record("acme", str(delivery.pipeline))
    assert record is not None
    assert record.git is not None
    assert (record.owner, record.git.sha, record.git.untrusted) == ("ann", SHA, False)
    assert "conducto/cfg/push" in record.tags
    generate = site.world.nodes(record.id)["/Generate"]
    assert generate.command == "python p.py main"


def test_status_of_the_commit_is_that_of_the_pipeline(site: Site) -> None:
    record = site.world.store.record("acme", str(site.pushed().pipeline))
    assert record is not None
    request = LaunchRequest(tree=form(serial(leaf("a"))), run=True)
    site.world.now += 1
    asyncio.run(site.world.pipelines().launch(request, origin=record.git))
    site.world.run_out(lambda _: None)
    site.world.sender(
        settings=Settings(),
    ).run()

    found = [(repo, sha, body["state"]) for repo, sha, body in site.host.statuses]
    assert found[0] == ("acme/app", SHA, "pending")
    assert found[-1] == ("acme/app", SHA, "success")


def test_replayed_webhook_launches_nothing_twice(site: Site) -> None:
    first = site.send("push", github_push())
    again = site.send("push", github_push(), "d-2")  # the signature does not cover the id
    place = site.invoked[0]
    site.process()
    site.run.process(*place)  # the function is invoked twice
    site.run.run()

    assert (first, again) == (202, 202)
    assert len(site.deliveries()) == 1
    assert len(list(site.world.store.records("acme", after=None, limit=10)[0])) == 1


@pytest.mark.parametrize("secret", ["", "other"])
def test_forged_webhook_is_rejected(site: Site, secret: str) -> None:
    body = packed(github_push())

    assert site.receive(github_headers("push", body, secret=secret), body) == 401
    assert site.receive({}, body) == 401
    right = github_headers("push", body, secret=site.secret)
    assert site.receive(right, body.replace(b"main", b"evil")) == 401
    assert site.receive(right, body, "acme~other") == 404
    assert site.receive(right, body, "other~app") == 404
    assert site.deliveries() == ()


def test_oversized_and_malformed_webhooks_store_nothing(site: Site) -> None:
    for body, status in ((b"x" * (MAX_BODY + 1), 413), (b"{", 202), (b"[]", 202), (b"{}", 202)):
        headers = github_headers("push", body, secret=site.secret)
        assert site.receive(headers, body) == status
    assert site.send("ping", {"zen": "x"}) == 202
    assert site.deliveries() == ()


def test_lost_invocation_is_processed_by_the_schedule(site: Site) -> None:
    site.send("push", github_push())
    site.invoked.clear()
    site.run.run()  # the function may be processing it
    young = site.deliveries()[0]
    site.host.down = True
    site.world.now += 300
    site.run.run()  # the provider is unreachable: it is retried
    waiting = site.deliveries()[0]
    site.host.down = False
    site.run.run()

    assert (young.result, young.reason) == (t.DeliveryResult.RECEIVED, None)
    assert waiting.result is t.DeliveryResult.RECEIVED
    assert "answered 503" in (waiting.reason or "")
    assert site.deliveries()[0].result is t.DeliveryResult.LAUNCHED


def test_error_of_the_configuration_is_the_status_of_the_commit(site: Site) -> None:
    site.host.files["acme/app", SHA, t.CONFIG_FILE] = "[push]\ncommand = x\nfilter = {branch}\n"
    delivery = site.pushed()

    assert delivery.result is t.DeliveryResult.FAILED
    ((_, sha, body),) = site.host.statuses
    assert (sha, body["state"]) == (SHA, "error")
    assert body["description"].startswith("line 3: filter: ")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (None, "there is no .conducto.cfg at aaaaaaaaaa"),
        ("[pr]\ncommand = x\n", "has no section [push]"),
        ("[push]\ncommand = x\nfilter = {branch} == dev\n", "the filter of [push] does not match"),
    ],
)
def test_skipped_delivery_has_the_reason(site: Site, config: str | None, reason: str) -> None:
    site.host.files.pop(("acme/app", SHA, t.CONFIG_FILE))
    if config is not None:
        site.host.files["acme/app", SHA, t.CONFIG_FILE] = config
    delivery = site.pushed()

    assert delivery.result is t.DeliveryResult.SKIPPED
    assert reason in (delivery.reason or "")


def test_webhook_about_another_repository_is_skipped(site: Site) -> None:
    other = {"id": 9, "full_name": "eve/x", "clone_url": "https://github.com/eve/x.git"}
    delivery = site.pushed(repository=other)

    assert "is about eve/x" in (delivery.reason or "")
    named = {**other, "full_name": "acme/app"}  # with the code of another repository
    assert site.pushed(repository=named).result is t.DeliveryResult.SKIPPED


def test_duplicate_rules_apply_to_active_pipelines(site: Site) -> None:
    first = site.pushed()
    suppressed = site.pushed()
    newer = "c" * 40
    slept = CONFIG.replace("{branch}\n", "{branch}\nduplicate = SLEEP_OLD\n")
    site.host.files["acme/app", newer, t.CONFIG_FILE] = slept
    second = site.pushed(sha=newer)
    last = "d" * 40
    site.host.files["acme/app", last, t.CONFIG_FILE] = slept.replace("SLEEP_OLD", "DEFER")
    deferred = site.pushed(sha=last)
    site.world.control(str(second.pipeline), "sleep")
    site.world.now += 300
    site.run.run()

    assert suppressed.reason == f"{first.pipeline} is active for the same commit"
    old = site.world.store.record("acme", str(first.pipeline))
    assert old is not None
    assert old.lifecycle is Lifecycle.SLEEPING
    assert (second.result, deferred.result) == (t.DeliveryResult.LAUNCHED, "deferred")
    assert site.deliveries()[0].result is t.DeliveryResult.LAUNCHED


@pytest.mark.parametrize("rule", ["SUPPRESS_NEW", "SLEEP_OLD", "DEFER"])
def test_repeated_delivery_ignores_its_own_pipeline(site: Site, rule: str) -> None:
    config = CONFIG.replace("{branch}\n", f"{{branch}}\nduplicate = {rule}\n")
    site.host.files["acme/app", SHA, t.CONFIG_FILE] = config
    launched = site.pushed()
    received = {"result": t.DeliveryResult.RECEIVED, "pipeline": None, "section": None}
    lost = launched.model_copy(update=received)  # the function ended before it stored the result
    site.world.cloud.records.deliveries.put("acme", "app", lost)
    site.world.now += 300
    site.run.run()

    assert site.deliveries()[0] == launched
    record = site.world.store.record("acme", str(launched.pipeline))
    assert record is not None
    assert record.lifecycle is not Lifecycle.SLEEPING


def test_delivery_that_always_fails_is_given_up_and_does_not_block(site: Site) -> None:
    owner = site.world.cloud.records.triggers.get("acme", "app")
    broken = owner.model_copy(update={"name": "bad", "api": "https://[broken"})
    site.world.cloud.records.triggers.put("acme", broken)
    site.send("push", github_push())
    good = site.deliveries()[0]
    for number in range(3):
        bad = good.model_copy(update={"id": f"{good.id}{number}"})
        site.world.cloud.records.deliveries.add("acme", "bad", bad, f"b-{number}")
    site.world.now += 300
    site.run.run()
    after = site.world.cloud.records.deliveries.get("acme", "bad", f"{good.id}0")
    site.world.now += 6 * 3600
    site.run.run()
    last = site.world.cloud.records.deliveries.get("acme", "bad", f"{good.id}0")

    assert site.deliveries()[0].result is t.DeliveryResult.LAUNCHED
    assert (after.result, after.reason) == (
        t.DeliveryResult.RECEIVED,
        "an unexpected error, which is in the log",
    )
    assert last.result is t.DeliveryResult.FAILED
    assert last.reason == f"given up after six hours: {after.reason}"
    assert list(site.world.cloud.records.deliveries.open()) == []


def test_run_ends_in_time_and_takes_organisations_in_turn(site: Site) -> None:
    event = t.GitEvent(kind="push", url=REPOSITORY, repository="acme/app", branch="main")
    for number, org in enumerate(["few", "many", "many", "many"]):  # the last one is the newest
        delivery = t.Delivery(id=f"{number:014d}-x", time=1.0, event=event)
        site.world.cloud.records.deliveries.add(org, "gone", delivery, str(number))
    site.run.run(seconds=0)
    untouched = len(site.world.cloud.records.deliveries.open())
    found = in_turn(site.world.cloud.records.deliveries.open())

    assert untouched == 4
    assert [(org, int(id_[:14])) for org, _, id_ in found] == [
        ("many", 3),
        ("few", 0),
        ("many", 2),
        ("many", 1),
    ]


def test_forks_are_ignored_by_default(site: Site) -> None:
    site.send("pull_request", github_pull_request(fork=True))
    delivery = site.process()

    assert delivery.result is t.DeliveryResult.SKIPPED
    assert delivery.pipeline is None


def test_fork_of_another_repository_does_not_wait(site: Site) -> None:
    site.add(forks="approve")
    other = {"id": 9, "full_name": "acme/other", "clone_url": "https://github.com/acme/other.git"}
    site.send("pull_request", {**github_pull_request(fork=True), "repository": other})
    delivery = site.process()

    assert delivery.result is t.DeliveryResult.SKIPPED
    assert "is about acme/other" in (delivery.reason or "")


def test_generic_webhook_needs_the_address_of_a_repository(site: Site) -> None:
    site.add(provider="generic", command="python p.py", forks="approve")
    event = {"kind": "pr", "repository": "acme/app", "branch": "main", "sha": SHA, "fork": True}
    for url in ("javascript:alert(1)", "javascript://github.com/%0aalert(1)"):
        body = packed({**event, "url": url})
        headers = generic_signed(body, site.world.now, site.secret)
        assert site.receive(headers, body) == 202
    assert site.deliveries() == ()


def test_approved_fork_runs_without_secrets_and_shells(site: Site) -> None:
    site.add(forks="approve")
    site.host.tokens.add("token")
    site.host.files["acme/app", SHA, t.CONFIG_FILE] = CONFIG
    site.world.vault.replace(org_scope("acme"), {"KEY": {"value": "top-secret"}}, "")
    site.send("pull_request", github_pull_request(fork=True))
    waiting = site.process()
    site.run.run()
    params = t.DeliveryParams(name="app", delivery=waiting.id)
    approved = asyncio.run(site.of().approve_delivery(params))

    assert (waiting.result, waiting.pipeline) == (t.DeliveryResult.WAITING, None)
    assert (approved.result, approved.approved_by) == (t.DeliveryResult.LAUNCHED, "ann")
    record = site.world.store.record("acme", str(approved.pipeline))
    assert record is not None
    assert record.git is not None
    assert (record.git.untrusted, record.git.url) == (True, "https://github.com/eve/app.git")
    assert secrets_user(record) is None
    given = inject_commands(site.world.vault, "acme", secret_access(record), {"ADDRESS": "x"})
    assert given.env == {}
    request = LaunchRequest(tree=form(serial(leaf("a"))), run=True)
    asyncio.run(site.world.pipelines().launch(request, origin=record.git))
    (task,) = site.world.fleet.tasks.values()
    assert (task.user_data, task.named_role) == (False, False)
    with pytest.raises(RefusedError, match="pull request from a fork"):
        site.world.services.shells.plans.plan(ME, record.id, DebugRequest(path="/Generate"))
    with pytest.raises(RefusedError, match="does not wait for an approval"):
        asyncio.run(site.of().approve_delivery(params))


def test_copy_of_a_fork_is_untrusted_too(site: Site) -> None:
    site.add(forks="approve")
    site.send("pull_request", github_pull_request(fork=True))
    params = t.DeliveryParams(name="app", delivery=site.process().id)
    first = str(asyncio.run(site.of().approve_delivery(params)).pipeline)
    tree = {"nodes": [{"id": "0", "type": "Exec", "command": "env", "image_name": "i"}]}
    images = {"i": {"name": "i", "image": "busybox"}}
    request = LaunchRequest(tree={**tree, "edges": [], "images": images}, copy_of=first[:6])
    pipelines = site.world.pipelines()
    copied = asyncio.run(pipelines.launch(request)).pipeline
    definition = asyncio.run(pipelines.get_definition(PipelineParams(id=copied.id)))
    again = asyncio.run(pipelines.launch(definition)).pipeline

    assert [secrets_user(copied), secrets_user(again)] == [None, None]
    assert (copied.copy_of, again.copy_of) == (first, copied.id)
    with pytest.raises(NotFoundError, match="zzz-zzz"):
        asyncio.run(pipelines.launch(request.model_copy(update={"copy_of": "zzz-zzz"})))


def test_schedule_of_a_fork_is_refused(site: Site) -> None:
    site.add(forks="approve")
    site.send("pull_request", github_pull_request(fork=True))
    params = t.DeliveryParams(name="app", delivery=site.process().id)
    fork = str(asyncio.run(site.of().approve_delivery(params)).pipeline)
    own = str(site.pushed().pipeline)
    schedules = site.world.services.schedules(ME)

    def settings(pipeline: str) -> dict[str, Any]:
        return {"cron": "0 0 * * *", "what": {"kind": "template", "pipeline": pipeline}}

    asyncio.run(schedules.create_schedule(NewSchedule(name="own", **settings(own))))
    for refused in (
        schedules.create_schedule(NewSchedule(name="fork", **settings(fork[:6]))),
        schedules.change_schedule(ScheduleParams(name="own"), ScheduleSettings(**settings(fork))),
    ):
        with pytest.raises(RefusedError, match="cannot be the template of a schedule"):
            asyncio.run(refused)


def test_owner_who_left_launches_nothing(site: Site) -> None:
    member = site.world.people.member("acme", "ann")
    assert member is not None
    site.world.people.join("acme", Member(user="bea", role=Role.OWNER, joined=1.0))
    site.world.people.change("acme", member, None, None)
    delivery = site.pushed()

    assert delivery.result is t.DeliveryResult.FAILED
    assert "ann may not store it any more" in (delivery.reason or "")


def test_branch_and_tag_events_use_the_commit_of_the_provider(site: Site) -> None:
    tag = "e" * 40
    site.host.refs["acme/app", "v1"] = tag
    site.host.files["acme/app", tag, t.CONFIG_FILE] = "[create-tag]\ncommand = release {tag}\n"
    site.send("create", github_ref("v1", "tag"))
    delivery = site.process()

    assert delivery.event.sha == tag
    generate = site.world.nodes(str(delivery.pipeline))["/Generate"]
    assert generate.command == "release v1"


def test_gitlab_webhook_launches_and_sets_the_status(site: Site) -> None:
    repository = "https://gitlab.example.com/acme/app"
    site.add(provider="gitlab", repository=repository)
    body = packed(gitlab_push())
    assert site.receive(gitlab_headers("Push Hook", secret=site.secret), body) == 202
    assert site.receive(gitlab_headers("Push Hook", secret="forged"), body) == 401
    delivery = site.process()
    record = site.world.store.record("acme", str(delivery.pipeline))
    assert record is not None
    request = LaunchRequest(tree=form(serial(leaf("a"))), run=True)
    site.world.now += 1
    asyncio.run(site.world.pipelines().launch(request, origin=record.git))
    site.world.run_out(lambda _: Cause.EXIT_CODE)
    site.world.sender(
        settings=Settings(),
    ).run()

    assert delivery.result is t.DeliveryResult.LAUNCHED
    states = [body["state"] for _, _, body in site.host.statuses]
    assert (states[0], states[-1]) == ("running", "failed")


def test_secrets_of_a_trigger_are_in_the_vault_only(site: Site) -> None:
    listed = asyncio.run(site.of().list_triggers())

    assert site.secret not in repr(listed) + listed.model_dump_json()
    assert "token" not in listed.triggers[0].model_dump_json().replace("has_token", "")
    assert site.world.vault.read(trigger_scope("acme", "app"))["secret"]["value"] == site.secret
    asyncio.run(site.of().delete_trigger(t.TriggerParams(name="app")))
    assert site.world.vault.read(trigger_scope("acme", "app")) == {}


def test_launch_has_no_token_and_a_copy_clones_with_the_current_one(site: Site) -> None:
    site.add(token="token-1")
    site.host.tokens = {"token-1", "token-2"}
    first = str(site.pushed().pipeline)
    built = build_inputs(site.world)
    site.add(token="token-2")
    pipelines = site.world.pipelines()
    copied = asyncio.run(pipelines.launch_again(PipelineParams(id=first), LaunchAgain(run=False)))
    stored = asyncio.run(pipelines.stored_launch(copied.pipeline.id)).sources["code"].clone
    site.world.builder.statuses["images:1"] = "failed"
    site.world.control(copied.pipeline.id, "run")

    assert stored is not None
    assert (stored.url, stored.trigger) == ("https://github.com/acme/app.git", "app")
    assert "token-1" in built
    assert "token-2" in build_inputs(site.world)
    assert "token-" not in build_recipe(site.world)


@pytest.mark.parametrize(
    "changed",
    [
        {"repository": "https://github.com/acme/other"},
        {"api": "https://api.example.com"},
        {"api": None},
        {"provider": "gitlab"},
    ],
)
def test_token_is_kept_only_for_the_same_host(site: Site, changed: dict[str, Any]) -> None:
    assert site.add(token=None).trigger.has_token
    with pytest.raises(RefusedError, match="give the token again"):
        site.add(token=None, **changed)
    assert site.add(token="new", **changed).trigger.has_token


def test_token_is_not_kept_for_another_owner(site: Site) -> None:
    manager = Identity("acme", "bob", frozenset({"read", "launch", "manage_organisation"}))

    with pytest.raises(RefusedError, match="give the token again"):
        site.add(manager, token=None)


def test_address_of_the_api_is_https_without_a_query(site: Site) -> None:
    with pytest.raises(RefusedError, match="without encryption"):
        site.add(api="http://git.example.com/api")
    for api in ("https://git.example.com/?", "https://git.example.com/#x"):
        with pytest.raises(ValidationError):
            site.add(api=api)


@pytest.mark.parametrize("provider", ["github", "gitlab"])
def test_status_is_not_sent_to_a_private_address_from_the_cloud(site: Site, provider: Any) -> None:
    trigger = site.add(provider=provider).trigger
    settings = Settings(public_only=True)

    with pytest.raises(DeliveryError, match="not a public address"):
        GitProviders(settings).set_status(trigger, "token", SHA, "x", None)
    if provider == "github":
        site.pushed()
    site.world.sender(
        settings=settings,
    ).run()
    assert site.host.statuses == []


def test_triggers_of_others_are_protected(site: Site) -> None:
    other = Identity("acme", "bob", frozenset({"read", "launch"}))

    with pytest.raises(RefusedError, match="belongs to ann"):
        site.add(other)
    with pytest.raises(NotFoundError):
        asyncio.run(site.of(STRANGER).delete_trigger(t.TriggerParams(name="app")))


def test_generic_webhook_is_accepted_once(site: Site) -> None:
    site.add(provider="generic", command="python p.py {branch}")
    event = {"kind": "push", "url": REPOSITORY, "repository": "acme/app", "branch": "main"}
    body = packed({**event, "sha": SHA})
    headers = generic_signed(body, site.world.now, site.secret)

    assert [site.receive(headers, body), site.receive(headers, body)] == [202, 202]
    (delivery,) = (site.process(), *site.deliveries()[1:])
    generate = site.world.nodes(str(delivery.pipeline))["/Generate"]
    assert generate.command == "python p.py main"
    site.world.now += 1000
    assert site.receive(headers, body) == 401


def test_a_hook_has_its_own_rate_for_signed_webhooks(site: Site) -> None:
    site.world.now = 6000.0
    forged = packed(github_push())
    for _ in range(MAX_WEBHOOKS):
        assert site.receive(github_headers("push", forged, secret="forged"), forged) == 401

    sent = [
        site.send("push", github_push(time=site.world.now + n), f"d-{n}")
        for n in range(MAX_WEBHOOKS + 1)
    ]

    assert sent == [*MAX_WEBHOOKS * [202], 429]
    site.world.now += 60
    assert site.send("push", github_push(time=site.world.now), "d-next") == 202


def test_budget_of_a_trigger_is_that_of_its_pipelines(site: Site) -> None:
    assert site.add(budget=5).trigger.budget == 5.0

    delivery = site.pushed()

    with site.world.engine.reading("acme", str(delivery.pipeline)) as live:
        assert live.pipeline.root.budget == 5.0


def test_secret_set_of_a_trigger_is_that_of_its_pipelines(site: Site) -> None:
    secret = SecretValue(key="DB", value="the-value", secret_set="prod", scope="org")
    asyncio.run(site.world.pipelines().put_secrets(PutSecrets(secrets=(secret,))))
    assert site.add(secret_set="prod").trigger.secret_set == "prod"

    delivery = site.pushed()

    with site.world.engine.reading("acme", str(delivery.pipeline)) as live:
        assert live.record.secret_set == "prod"
