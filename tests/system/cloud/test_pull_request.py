"""A pull request from its first push to the merge, at an emulated installation and GitHub's double.

The author only uses Git, the buttons at GitHub, and the command line.
"""

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
from conducto_core.assistants.model import ExecRequest, ExecResult
from conducto_core.assistants.operations import EXEC
from conducto_core.run.model.params import NoParams, PipelineParams
from conducto_core.triggers import model as t
from conducto_core.triggers.operations import FINISH_GITHUB_APP, LIST_DELIVERIES, START_GITHUB_APP
from conducto_emulator.moto.server import shared_address
from support.cloud.emulated import Run
from support.git_provider import GitHost, git_host
from support.git_server import GitServer, git, git_server
from support.local import wait_for
from support.running import Person, person_at
from support.webhooks import (
    github_check,
    github_headers,
    github_pull_request,
    github_push,
    packed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.cloud.emulated import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.cloud, pytest.mark.long]

OCTOCAT = 583231
NAME = t.TriggerParams(name="app")
CONFIG = """
[pr]
command = cat tree
image = busybox:latest
[push main]
command = cat tree
image = busybox:latest
"""
#: Two tests: of the price, which reads a file and a variable, and one that fails every other time.
SUITE = """
mkdir -p reports
flip=/conducto/data/pipeline/flip
total=
[ "$(cat price)" = "${PRICE:-2}" ] || total='<failure message="price is wrong"/>'
clock=
[ -e $flip ] || clock='<failure message="too late"/>'
if [ -e $flip ]; then rm $flip; else touch $flip; fi
cat >reports/unit.xml <<END
<testsuite name="shop">
<testcase classname="shop" name="total" file="shop.py" line="3">$total</testcase>
<testcase classname="shop" name="clock" file="shop.py" line="9">$clock</testcase>
</testsuite>
END
[ -z "$total$clock" ]
"""
TEST, CLOCK = "/Execute/Test", "shop::clock"


def tree() -> str:
    """Return the output of the repository's script."""
    root = co.Serial(cpu=0.25, mem=0.5, title="shop")
    root["Build"] = co.Exec("echo built")
    root["Test"] = co.Exec("sh suite.sh", junit="reports/*.xml")
    root["Package"] = co.Exec("cat price")
    return f"{OPEN}{encode(to_document(root))}{CLOSE}"


class Walk:
    """An author with a repository, its pull request, and the checks of its commits."""

    def __init__(self, me: Cloud, host: GitHost, server: GitServer, person: Person) -> None:
        self.me = me
        self.host = host
        self.server = server
        self.person = person
        self.url = f"{server.url}/acme/app"
        files = {t.CONFIG_FILE: CONFIG, "tree": tree(), "suite.sh": SUITE, "price": "2\n"}
        self.work = server.repository("acme/app", files)
        self.repository = {"id": 1, "full_name": "acme/app", "clone_url": f"{self.url}.git"}
        self.seen: set[str] = set()
        self._create_app()
        words = ("--app", "--person", "octocat=me")
        person.ask("trigger", "add", "app", "--repository", self.url, *words)

    def _create_app(self) -> None:
        """Create the App of the host.

        Builds clone from an address without TLS that is not the loopback, which no App may have:
        the record gets it afterwards.
        """
        self.host.people["octocat"] = OCTOCAT
        request = t.GithubAppRequest(
            title="Acme", host=self.host.url, redirect="http://127.0.0.1:1/"
        )
        begun = self.me.client.call(START_GITHUB_APP, NoParams(), request)
        target = begun.address.removeprefix(self.host.url)
        _, location = self.host.apps.create(target, {"manifest": [begun.manifest]})
        code = location.partition("?code=")[2].partition("&")[0]
        given = t.GithubAppCode(code=code, state=begun.state)
        app = self.me.client.call(FINISH_GITHUB_APP, NoParams(), given)
        store = App(os.environ, Clients()).cloud.records.apps
        store.put(self.me.org, app.model_copy(update={"host": self.server.url}))
        self.host.apps.installed["acme/app"] = 77

    def push(self, branch: str, **files: str) -> str:
        """Commit files on a branch; return the commit."""
        git(self.work, "checkout", "--quiet", "-B", branch)
        for name, text in files.items():
            (self.work / name).write_text(text)
        git(self.work, "commit", "--quiet", "--all", "--allow-empty", "--message", branch)
        git(
            self.work,
            "push",
            "--quiet",
            "--force",
            str(self.server.folder / "acme/app.git"),
            branch,
        )
        sha = git(self.work, "rev-parse", "HEAD")
        self.host.files["acme/app", sha, t.CONFIG_FILE] = CONFIG
        return sha

    def send(self, event: str, payload: dict[str, Any]) -> Run:
        """Deliver a webhook of the App; return the pipeline that it is about."""
        body = packed({**payload, "repository": self.repository, "delivery": len(self.seen)})
        (app,) = self.host.apps.apps.values()
        headers = github_headers(event, body, secret=app.webhook_secret)
        url = f"{self.me.emulator.url}/api/v1/hooks/{self.me.org}~~github"
        request = urllib.request.Request(url, body, {**headers, "content-type": "application/json"})
        urllib.request.urlopen(request, timeout=30).close()

        def new() -> list[t.Delivery]:
            found = self.me.client.call(LIST_DELIVERIES, NAME).deliveries
            return [
                each
                for each in found
                if each.id not in self.seen and each.result is not t.DeliveryResult.RECEIVED
            ]

        wait_for(lambda: bool(new()), 60, every=0.2)
        (delivery,) = new()
        self.seen.add(delivery.id)
        assert delivery.pipeline is not None, delivery.reason
        return Run(self.me, delivery.pipeline)

    def pull_request(self, action: str, sha: str) -> Run:
        payload = github_pull_request(action=action)
        request = payload["pull_request"]
        request["head"] |= {"sha": sha, "repo": self.repository}
        request["base"]["repo"] = self.repository
        return self.send("pull_request", payload)

    def click_rerun(self, run: Run) -> Run:
        return self.send("check_run", github_check(run.id, "requested_action", "rerun"))

    def look(self, run: Run, command: str) -> str:
        """Run a command in a container like that of the failed test."""
        request = ExecRequest(path=TEST, command=command)
        end = time.monotonic() + 60
        while True:
            found: ExecResult = self.me.client.call(EXEC, PipelineParams(id=run.id), request)
            if found.waiting is None:
                return found.stdout
            assert time.monotonic() < end, found.waiting

    def check(self, sha: str, *, ended: int) -> dict[str, Any]:
        """Return the newest check run of a commit, when a number of them has ended."""

        def runs() -> list[dict[str, Any]]:
            of_commit = [one for one in self.host.checks.runs if one["head_sha"] == sha]
            return [one for one in of_commit if one["status"] == "completed"]

        wait_for(lambda: len(runs()) >= ended, 90, every=0.2)
        assert len(runs()) == ended
        return runs()[-1]


@pytest.fixture
def walk(me: Cloud, tmp_path: Path) -> Iterator[Walk]:
    home = tmp_path / "home"
    home.mkdir()
    with (
        git_host() as host,
        git_server(tmp_path, shared_address()) as server,
        person_at(home) as person,
    ):
        words = ("login", "--url", me.emulator.url, "--token", "-")
        assert person.conducto(*words, given=me.token + "\n").returncode == 0
        yield Walk(me, host, server, person)


def test_pull_request_from_push_to_merge(walk: Walk) -> None:
    """The author debugs, patches, reruns, quarantines a flaky test, and merges."""
    person = walk.person
    first = walk.push("feature", price="3\n")
    run = walk.pull_request("opened", first).settled()
    failed = walk.check(first, ended=1)
    assert (failed["external_id"], failed["conclusion"]) == (run.id, "failure")
    lines = {(one["path"], one["start_line"]) for one in failed["annotations"]}
    assert lines == {("shop.py", 3), ("shop.py", 9)}
    assert f"conducto debug {run.id} {TEST}" in failed["output"]["summary"]
    assert [one["identifier"] for one in failed["actions"]] == ["rerun"]
    assert run.states()["/Execute/Package"] == "pending"

    assert walk.look(run, "cat price") == "3\n"
    person.ask("modify", run.id, TEST, "--env", "PRICE=3")
    person.ask("rerun", run.id, "--failed")
    passed = walk.check(first, ended=2)
    assert (passed["conclusion"], passed["annotations"]) == ("success", [])
    assert run.output("/Execute/Package") == b"3\n"
    by_hand = person.conducto("patch", run.id).stderr.splitlines()
    assert [line for line in by_hand if line.startswith(f"{TEST}: env.")] == by_hand
    assert ["set it to '3' by hand" in line for line in by_hand] == [True]

    second = walk.push("feature", **{"suite.sh": SUITE.replace("PRICE:-2", "PRICE:-3")})
    run = walk.pull_request("synchronize", second).settled()
    assert walk.check(second, ended=1)["conclusion"] == "failure"
    assert [one["path"] for one in walk.check(second, ended=1)["annotations"]] == ["shop.py"]
    walk.click_rerun(run)
    assert walk.check(second, ended=2)["conclusion"] == "success"
    (flaky,) = person.read("tests", run.id, "--flaky")["tests"]
    assert flaky["name"] == CLOCK

    words = ("--until", "14d", "--reason", "issue 7")
    person.ask("tests", run.id, "--quarantine", CLOCK, *words)
    git(walk.work, "checkout", "--quiet", "main")
    git(walk.work, "merge", "--quiet", "--no-ff", "--message", "Merge #7", "feature")
    merged = walk.push("main")
    payload = github_push("main", merged, before=git(walk.work, "rev-parse", "HEAD^1"))
    run = walk.send("push", payload).settled()
    green = walk.check(merged, ended=1)
    assert (green["external_id"], green["conclusion"]) == (run.id, "success")
    assert run.node(TEST).warning
    assert "only quarantined tests failed: shop::clock" in str(run.attempts(TEST)[-1].message)
    assert run.states()["/Execute/Package"] == "done"
    assert f"{CLOCK}: quarantined until" in person.ask("tests", "acme/app").stdout
