"""Pipelines that start by themselves, through the whole cloud: by a push, and by a schedule."""

from __future__ import annotations

import os
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

import conducto as co
from chalicelib.aws.clients import Clients
from chalicelib.bootstrap import App
from conducto.tree.serialize import CLOSE, OPEN, encode, to_document
from conducto_core.run.model.params import NoParams
from conducto_core.schedules import model as s
from conducto_core.schedules.operations import CREATE_SCHEDULE, LIST_FIRINGS
from conducto_core.schedules.rules import schedules as rules
from conducto_core.triggers import model as t
from conducto_core.triggers.operations import LIST_DELIVERIES, PUT_TRIGGER
from conducto_emulator.moto.server import shared_address
from support.cloud.emulated import Run
from support.git_provider import git_host
from support.git_server import git, git_server
from support.local import wait_for
from support.webhooks import github_headers, github_push, packed

if TYPE_CHECKING:
    from pathlib import Path

    from support.cloud.emulated import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.cloud, pytest.mark.long]

CONFIG = "[push main]\ncommand = cat tree\nimage = busybox:latest\n"
NAME = t.TriggerParams(name="app")


def tree() -> str:
    """Return the output of a script: its tree."""
    root = co.Serial(cpu=0.25, mem=0.5)
    root["show"] = co.Exec("cat version")
    return f"{OPEN}{encode(to_document(root))}{CLOSE}"


def deliver(url: str, headers: dict[str, str], body: bytes) -> None:
    request = urllib.request.Request(url, body, {**headers, "content-type": "application/json"})
    urllib.request.urlopen(request, timeout=30).close()


def launched(me: Cloud) -> Run:
    """Return the pipeline that the webhook launched."""

    def delivery() -> t.Delivery:
        return me.client.call(LIST_DELIVERIES, NAME).deliveries[0]

    wait_for(lambda: delivery().result is not t.DeliveryResult.RECEIVED, 60, every=0.2)
    assert delivery().pipeline is not None, delivery().reason
    return Run(me, str(delivery().pipeline))


def test_push_launches_the_code_of_its_commit_and_sets_the_status(
    me: Cloud, tmp_path: Path
) -> None:
    # Builds run in containers, which reach this address.
    with git_host() as host, git_server(tmp_path, shared_address()) as server:
        files = {t.CONFIG_FILE: CONFIG, "tree": tree(), "version": "one\n"}
        work = server.repository("acme/app", files)
        sha = git(work, "rev-parse", "HEAD")
        (work / "version").write_text("two\n")  # a newer commit, which must not run
        git(work, "commit", "--quiet", "--all", "--message", "second")
        git(work, "push", "--quiet", str(tmp_path / "acme/app.git"), "main")
        host.files["acme/app", sha, t.CONFIG_FILE] = CONFIG
        url = f"{server.url}/acme/app"
        trigger = {"provider": "github", "repository": url, "api": host.url, "token": "token"}
        made = me.client.call(PUT_TRIGGER, NAME, t.TriggerRequest.model_validate(trigger))
        source: dict[str, Any] = {"id": 1, "full_name": "acme/app", "clone_url": f"{url}.git"}
        body = packed(github_push(sha=sha, repository=source))

        deliver(str(made.hook_url), github_headers("push", body, secret=str(made.secret)), body)

        run = launched(me).settled()
        assert set(run.states().values()) == {"done"}
        assert run.output("/Execute/show") == b"one\n"
        wait_for(lambda: "success" in [body["state"] for *_, body in host.statuses], 60, every=0.2)
        assert {commit for _, commit, _ in host.statuses} == {sha}


def test_due_schedule_launches_a_pipeline_and_notes_its_end(me: Cloud) -> None:
    done = me.launch(co.Exec("echo loaded", image="busybox:latest", cpu=0.25, mem=0.5), run=False)
    source = s.TemplateSource(kind="template", pipeline=done.id)
    minute = int(time.time() / 60 - 10) % 60  # due ten minutes ago, and then in fifty minutes
    request = s.NewSchedule(name="hourly", cron=f"{minute} * * * *", what=source)
    me.client.call(CREATE_SCHEDULE, NoParams(), request)
    rewind(me.org, "hourly")

    def firings() -> tuple[s.Firing, ...]:
        return me.client.call(LIST_FIRINGS, s.FiringsParams(name="hourly")).firings

    wait_for(lambda: [one.outcome for one in firings()] == ["done"], 60, every=0.2)

    (firing,) = firings()
    assert (firing.state, firing.cause) == (s.FiringState.LAUNCHED, s.FiringCause.CATCH_UP)
    run = Run(me, str(firing.pipeline))
    assert run.output("/") == b"loaded\n"
    assert me.client.get(run.id).pipeline.tags == ("conducto/schedule/hourly",)


def rewind(org: str, name: str) -> None:
    """Let a schedule exist for half an hour; the functions read the clock of the machine."""
    store = App(os.environ, Clients()).cloud.events.schedules
    made = store.get(org, name)
    assert made is not None
    assert store.change(org, made, rules.started(made, time.time() - 1800)) is not None
