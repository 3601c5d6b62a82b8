"""Trusts, notification rules and triggers of people who may not store them any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.events.handlers import EventHooks
from chalicelib.people.handlers import CloudPeople
from chalicelib.people.port import Identity, VerifiedRun
from chalicelib.people.tokens import digest_of
from chalicelib.secrets.injection import org_scope
from chalicelib.triggers.webhooks import Hooks
from conducto_core.api.problems import ProblemError
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.notifications.channels import Settings
from conducto_core.notifications.model import RuleParams, RuleRequest
from conducto_core.people import model as m
from conducto_core.people import model as s
from conducto_core.people.rules import permissions_of
from conducto_core.run.model.states import Cause
from conducto_core.triggers import model as t
from support.cloud.world import World
from support.git_provider import GitHost, git_host
from support.services import web_service
from support.trees import leaf, serial
from support.webhooks import SHA, github_headers, github_push, packed

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = "https://github.com/acme/app"
RUN = VerifiedRun("github", "123", "refs/heads/main", "", "push", "repo:acme/app", 2_000_000.0)
EVERYTHING = [("trust", "ci"), ("rule", "chat"), ("trigger", "app"), ("trigger", "lib")]


class Site:
    """An organisation of the owner ann, whose administrator bob stored all of `EVERYTHING`."""

    def __init__(self, host: GitHost) -> None:
        self.world = World()
        self.host = host
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
        self.join("ann", m.Role.OWNER)
        self.join("bob", m.Role.ADMIN)
        host.files["acme/app", SHA, t.CONFIG_FILE] = "[push]\ncommand = python p.py\n"
        host.tokens.add("")  # public
        trust = s.TrustRequest(repository="123", ref="refs/heads/main")
        asyncio.run(
            self.world.services.sign_in(self.identity("bob")).put_trust(
                s.TrustParams(name="ci"), trust
            )
        )
        rule = RuleRequest.model_validate({"channel": "slack", "to": "#ops", "on": ["failure"]})
        pipelines = self.world.pipelines(self.identity("bob"))
        asyncio.run(pipelines.put_notification_rule(RuleParams(name="chat"), rule))
        secrets = {"SLACK_TOKEN": {"value": "xoxb-1"}}
        self.world.vault.replace(org_scope("acme"), secrets, "")
        self.secret = str(self.add("app").secret)
        self.add("lib", token="token", submodules=["https://github.com/acme/sub"])

    def join(self, user: str, role: m.Role, *, first: bool = False) -> None:
        member = m.Member(user=user, role=role, joined=1.0)
        self.world.people.join("acme", member, first=first)

    def identity(self, user: str) -> Identity:
        member = self.world.people.member("acme", user)
        assert member is not None
        return Identity("acme", user, permissions_of(member.role))

    def of(self, user: str) -> CloudPeople:
        return self.world.services.people(self.identity(user))

    def add(self, name: str, user: str = "bob", **more: Any) -> t.NewTrigger:
        fields = {"provider": "github", "repository": REPOSITORY, "api": self.host.url, **more}
        request = t.TriggerRequest.model_validate(fields)
        return asyncio.run(
            self.world.services.triggers(self.identity(user)).put_trigger(
                t.TriggerParams(name=name), request
            )
        )

    def remove(self) -> m.MemberRemoved:
        return asyncio.run(self.of("ann").remove_member(m.MemberParams(user="bob")))

    def demote(self, role: m.Role) -> m.MemberChanged:
        params = m.MemberParams(user="bob")
        return asyncio.run(self.of("ann").change_role(params, m.RoleChange(role=role)))

    def take_over(self, kind: str, name: str, user: str = "ann") -> m.OwnedRecord:
        params = m.TakeOverParams.model_validate({"kind": kind, "name": name})
        return asyncio.run(self.of(user).take_over(params))

    def suspended(self) -> list[tuple[str, str]]:
        """Return the records that the lists show as suspended."""
        ann, services = self.identity("ann"), self.world.services
        rules = self.world.pipelines(ann).list_notification_rules()
        lists = {
            "trust": asyncio.run(services.sign_in(ann).list_trusts()).trusts,
            "rule": asyncio.run(rules).rules,
            "trigger": asyncio.run(services.triggers(ann).list_triggers()).triggers,
        }
        return [(kind, one.name) for kind, found in lists.items() for one in found if one.suspended]

    def token_of_a_run(self) -> str:
        caller = Identity("", "", frozenset(), run=RUN, token=f"jwt-{self.world.now}")
        self.world.now += 1
        exchange = s.CiExchange(org="acme")
        issued = self.world.services.sign_in(caller).exchange_ci_token(exchange)
        return asyncio.run(issued).token

    def push(self) -> t.Delivery:
        self.world.now += 1
        body = packed(github_push(time=self.world.now))
        delivery = f"d-{self.world.now}"
        headers = github_headers("push", body, delivery=delivery, secret=self.secret)
        assert self.hooks.receive("acme~app", headers, body).status == 202
        self.world.services.trigger_run.process(*self.invoked.pop(0))
        return asyncio.run(
            self.world.services.triggers(self.identity("ann")).list_deliveries(
                t.TriggerParams(name="app")
            )
        ).deliveries[0]

    def messages_of_a_failure(self) -> int:
        self.world.launch(serial(leaf("a")), run=True)
        self.world.run_out(lambda _: Cause.EXIT_CODE)
        with web_service() as slack:
            self.world.sender(
                settings=Settings(slack=slack.url),
            ).run()
        return len(slack.asked)


@pytest.fixture
def site() -> Iterator[Site]:
    with git_host() as host:
        yield Site(host)


def named(records: tuple[m.OwnedRecord, ...]) -> list[tuple[str, str]]:
    assert {one.owner for one in records} <= {"bob"}
    return [(one.kind, one.name) for one in records]


def test_records_of_an_administrator_work(site: Site) -> None:
    assert site.suspended() == []
    assert site.push().result is t.DeliveryResult.LAUNCHED
    assert site.messages_of_a_failure() == 1
    assert site.world.tokens.find(digest_of(site.token_of_a_run())) is not None


def test_removal_lists_and_suspends_everything(site: Site) -> None:
    token = site.token_of_a_run()

    removed = site.remove()

    assert named(removed.suspended) == EVERYTHING
    assert site.suspended() == EVERYTHING
    assert site.world.tokens.find(digest_of(token)) is None
    with pytest.raises(ProblemError, match="no trust of acme matches"):
        site.token_of_a_run()
    assert site.messages_of_a_failure() == 0
    delivery = site.push()
    assert delivery.result is t.DeliveryResult.FAILED
    assert "conducto members take-over trigger app" in (delivery.reason or "")
    with pytest.raises(RefusedError, match="lib is suspended: bob may not store it any more"):
        site.world.cloud.git.tokens.lent_address("acme", REPOSITORY, trigger="lib")


def test_demotion_suspends_records_that_need_the_old_role(site: Site) -> None:
    administrators_only = [("trust", "ci"), ("rule", "chat"), ("trigger", "lib")]

    assert named(site.demote(m.Role.MEMBER).suspended) == administrators_only
    assert site.suspended() == administrators_only
    assert site.push().result is t.DeliveryResult.LAUNCHED
    assert named(site.demote(m.Role.VIEWER).suspended) == EVERYTHING


def test_member_who_leaves_gets_the_list(site: Site) -> None:
    identity = Identity("acme", "bob", permissions_of(m.Role.ADMIN), parent="member:acme:bob")
    left = asyncio.run(site.world.services.people(identity).leave_organisation())

    assert named(left.suspended) == EVERYTHING


def test_another_administrator_takes_records_over(site: Site) -> None:
    site.remove()

    for kind, name in EVERYTHING[:3]:
        assert site.take_over(kind, name).owner == "ann"

    assert site.suspended() == [("trigger", "lib")]
    assert site.world.tokens.find(digest_of(site.token_of_a_run())) is not None
    assert site.messages_of_a_failure() == 1
    assert site.push().result is t.DeliveryResult.LAUNCHED


def test_trigger_with_a_token_of_its_owner_needs_another_one(site: Site) -> None:
    site.remove()

    with pytest.raises(RefusedError, match="lib has a token of bob; store it again with another"):
        site.take_over("trigger", "lib")
    site.add("lib", "ann", token="other", submodules=["https://github.com/acme/sub"])
    assert ("trigger", "lib") not in site.suspended()


def test_only_suspended_records_are_taken_over(site: Site) -> None:
    with pytest.raises(RefusedError, match="the trust ci of bob is not suspended"):
        site.take_over("trust", "ci")
    with pytest.raises(NotFoundError, match="there is no rule 'gone'"):
        site.take_over("rule", "gone")


def test_returned_role_resumes_all_but_trusts(site: Site) -> None:
    site.demote(m.Role.VIEWER)
    site.demote(m.Role.ADMIN)

    assert site.suspended() == [("trust", "ci")]
    site.take_over("trust", "ci", "bob")
    assert site.suspended() == []


def test_records_without_members_are_not_suspended() -> None:
    world = World()
    admin = Identity("acme", "root", permissions_of(m.Role.ADMIN))
    trust = s.TrustRequest(repository="123", ref="refs/heads/main")
    organisation = world.services.sign_in(admin)
    asyncio.run(organisation.put_trust(s.TrustParams(name="ci"), trust))

    assert [one.suspended for one in asyncio.run(organisation.list_trusts()).trusts] == [False]
