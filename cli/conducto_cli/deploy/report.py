"""``conducto deploy --report FILE``: the automatic rows of the account checklist, in one file.

Pipelines of a minute run in the installation, and everything that they made is removed. The file
can be attached to an issue: it has results, times, prices and versions, and neither messages nor
names, addresses or ids.
"""

from __future__ import annotations

import json
import platform
import re
import secrets
import sys
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import conducto as co
from conducto.errors import ConductoError
from conducto.wire.named_limits import Limit
from conducto_cli.projects.examples import examples
from conducto_cli.python_client.hosts import open_target
from conducto_client import Client, ClientError
from conducto_core.debug.model import DebugRequest
from conducto_core.images.sdk_wheel import package_version

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conducto_client.pipeline import Pipeline
    from conducto_core.billing.model import PipelineCost

#: The smallest image with a shell.
IMAGE = "busybox:latest"
#: Seconds that a pipeline may take, with the start of workers.
TIMEOUT = 1800.0
_QUESTION = re.compile(r"^\| (\d+) \| ([^|]+?) \|", re.MULTILINE)
#: Rows of docs/real-account-checklist.md that a check answers; a deployment answers the first two.
_ANSWERED = {"deploy": (1, 2), "failure and rerun": (0,), "data": (11, 15)}


class CheckFailedError(Exception):
    """A check's result differs from the expected one."""


def expect(condition: object, text: str) -> None:
    """Raise an error unless the condition holds."""
    if not condition:
        raise CheckFailedError(text)


class Trial:
    """The checks of an installation, and the pipelines that they launched."""

    def __init__(self, profile: str | None, say: Callable[[str], None]) -> None:
        self.target = open_target("cloud", profile)
        self.pipelines: list[Pipeline] = []
        self._profile = profile
        self._say = say

    def run(self, root: co.Node) -> Pipeline:
        """Launch a tree, and wait for its end."""
        pipeline = co.launch(root, target="cloud", title="deployment report", profile=self._profile)
        self.pipelines.append(pipeline)
        pipeline.wait(TIMEOUT, progress=False)
        return pipeline

    def row(self, name: str, check: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        """Run a check; return its row of the report. Only the terminal shows an error's message."""
        began = time.monotonic()
        found: dict[str, Any] = {"check": name, "result": "ok"}
        try:
            found.update(check() or {})
        except (CheckFailedError, ConductoError, ClientError, OSError) as error:
            found.update(result="failed", error=type(error).__name__)
            self._say(f"{name}: {error}")
        found["seconds"] = round(time.monotonic() - began, 1)
        if name in _ANSWERED:
            found["checklist"] = list(_ANSWERED[name])
        self._say(f"{found['result']:<6}  {name}  {found['seconds']} s")
        return found

    # ---- checks ------------------------------------------------------------------------------

    def hello(self) -> dict[str, Any]:
        pipeline = self.run(_exec("echo hello"))
        expect(pipeline.state == "done", f"the pipeline is {pipeline.state}")
        expect(pipeline["/"].logs() == "hello\n", "the output differs")
        return {"first_command_seconds": round(_started(pipeline) - pipeline.created, 1)}

    def failure_and_rerun(self) -> None:
        root = co.Serial(image=IMAGE, cpu=0.25, mem=0.5)
        root["good"] = co.Exec("echo good")
        root["bad"] = co.Exec("test -f /conducto/data/pipeline/fixed")
        pipeline = self.run(root)
        expect(pipeline["/bad"].exit_code == 1, "the command did not fail")
        pipeline.data.write("fixed", b"")
        pipeline.rerun(failed=True)
        pipeline.wait(TIMEOUT, progress=False)
        expect(pipeline.state == "done", f"after the rerun it is {pipeline.state}")
        expect(len(pipeline["/good"].attempts()) == 1, "the rerun repeated a command that was done")

    def data(self) -> None:
        root = co.Serial(image=IMAGE, cpu=0.25, mem=0.5)
        fresh = co.ContainerReuseContext.NEW
        write = "echo kept > /conducto/data/pipeline/file"
        root["write"] = co.Exec(write, container_reuse_context=fresh)
        read = "cat /conducto/data/pipeline/file"
        root["read"] = co.Exec(read, container_reuse_context=fresh)
        pipeline = self.run(root)
        expect(pipeline["/read"].logs() == "kept\n", "another container reads something else")
        expect(pipeline.data.read("file") == b"kept\n", "the API reads something else")

    def secrets(self) -> None:
        name, value = f"REPORT_{secrets.token_hex(4).upper()}", secrets.token_hex(16)
        store = co.connect("cloud", profile=self._profile).secrets
        store.set(name, value)
        try:
            pipeline = self.run(_exec(f'echo "${{#{name}}} ${name}"'))
        finally:
            store.delete(name)
        output = pipeline["/"].logs()
        expect(output.startswith("32 "), "the command did not get the secret")
        expect(value not in output, "the output has the value of the secret")

    def build(self) -> None:
        image = co.Image(dockerfile_text=f"FROM {IMAGE}\nRUN echo built > /built\n")
        pipeline = self.run(co.Exec("cat /built", image=image, cpu=0.25, mem=0.5))
        expect(pipeline["/"].logs() == "built\n", "the image lacks the file")

    def debug(self) -> None:
        pipeline = self._first()
        plan = self._call(lambda client: client.debug(pipeline.id, DebugRequest(path="/")))
        expect(plan.image, "there is no image for a shell")

    def limits(self) -> None:
        root = co.Parallel(image=IMAGE, cpu=0.25, mem=0.5)
        limit = Limit(f"report-{secrets.token_hex(4)}", 1)
        for number in range(3):
            root[str(number)] = co.Exec("sleep 2", limits=limit)
        pipeline = self.run(root)
        nodes = pipeline.nodes("/*")
        spans = sorted((node.started or 0.0, node.ended or 0.0) for node in nodes)
        apart = all(a[1] <= b[0] + 0.5 for a, b in pairwise(spans))
        expect(apart, "two commands of a limit of one ran at the same time")

    def price(self) -> dict[str, Any]:
        self._first()
        costs = [self._cost(pipeline) for pipeline in self.pipelines]
        total = sum(cost.dollars for cost in costs)
        return {"dollars": round(total, 5), "prices_of": costs[0].priced}

    def teardown(self) -> None:
        for pipeline in self.pipelines:
            pipeline.archive()
            pipeline.delete()
        left = self._call(lambda client: client.list(lifecycle="all"))
        mine = {pipeline.id for pipeline in self.pipelines}
        expect(not mine & {one.pipeline.id for one in left}, "a deleted pipeline is still listed")

    def _first(self) -> Pipeline:
        expect(self.pipelines, "no pipeline could be launched")
        return self.pipelines[0]

    def _cost(self, pipeline: Pipeline) -> PipelineCost:
        cost: PipelineCost = self._call(lambda client: client.cost(pipeline.id))
        return cost

    def _call(self, operation: Callable[[Client], Any]) -> Any:
        return self.target.call(operation)


def _exec(command: str) -> co.Exec:
    return co.Exec(command, image=IMAGE, cpu=0.25, mem=0.5)


def _started(pipeline: Pipeline) -> float:
    started = pipeline["/"].started
    if started is None:
        raise CheckFailedError("the command did not start")
    return started


def write(
    file: Path, profile: str | None, region: str | None, say: Callable[[str], None] = print
) -> bool:
    """Run the checks in the installation of a profile; return whether all are ok."""
    say("running the automatic rows of the checklist; this takes some minutes")
    trial = Trial(profile, say)
    checks: dict[str, Callable[[], dict[str, Any] | None]] = {
        "deploy": dict,
        "hello": trial.hello,
        "failure and rerun": trial.failure_and_rerun,
        "data": trial.data,
        "secrets": trial.secrets,
        "build": trial.build,
        "debug": trial.debug,
        "limits": trial.limits,
        "price": trial.price,
        "teardown": trial.teardown,
    }
    rows = [trial.row(name, check) for name, check in checks.items()]
    done = {number for row in rows if row["result"] == "ok" for number in row.get("checklist", ())}
    people = [f"{number}: {text}" for number, text in questions() if number not in done]
    report = {
        "conducto": package_version(),
        "python": platform.python_version(),
        "system": sys.platform,
        "region": region,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "rows": rows,
        "only_a_person_can_check": people,
    }
    file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    say(f"wrote {file}: no names, addresses or ids; attach it to an issue if you like")
    say(f"{len(people)} rows need a person: see the file")
    return all(row["result"] == "ok" for row in rows)


def questions() -> list[tuple[int, str]]:
    """Return the rows of the checklist."""
    page = examples().parent / "docs" / "real-account-checklist.md"
    return [(int(number), text) for number, text in _QUESTION.findall(page.read_text("utf-8"))]
