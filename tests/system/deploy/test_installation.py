"""The real ``conducto deploy`` at an emulated AWS, and pipelines there.

One installation lives through these tests in their order: it is deployed, used, redeployed with
other settings, destroyed, and deployed over the remains.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import boto3
import pexpect
import pytest
from playwright.sync_api import expect, sync_playwright

from conducto_core.assistants.handlers import MCP_PATH, METADATA_PATH
from conducto_core.assistants.rules.tools import TOOLS
from conducto_core.installation.names import function_name
from conducto_core.installation.rules import RESERVED
from support.browser import FLAGS, chromium
from support.cloud.rights import asked, refused
from support.running import Run
from system.deploy import calls, older_version, scripts
from system.deploy.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[3]
HELLO = ROOT / "examples/hello/pipeline.py"
LARGE_BYTES = 30_000_000
TIMEOUT = 240.0
#: Every setting that changes resources, apart from ``domain``, which needs a certificate.
EVERYTHING = {
    "alarm_email": "ops@example.org",
    "billing": "true",
    "email_from": "ci@example.org",
    "log_days": "7",
    "monthly_budget": "50",
    "pull_through": "quay.io",
    "smtp_url": "smtps://ci@mail.example.org",
    "spot_share": "2",
    "tracing": "true",
}
#: Parts of the names of roles that must have called AWS, or the record is incomplete.
ROLES = (
    "-api-handler",
    "-build-ended",
    "-every-minute",
    "-execution-ended",
    "-poll",
    "-push",
    "-task-stopped",
    "Authorizer",
    "Data",
    "Sockets",
)


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait until a condition holds; nothing tells of it."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.5)


def state(installation: Installation, pipeline_id: str, path: str) -> str:
    nodes = installation.person.read("show", pipeline_id)["nodes"]
    return str(next(node["state"] for node in nodes if node["path"] == path))


def launch(installation: Installation, script: Path, *words: str) -> str:
    """Launch a script and come back at once; return the pipeline's id."""
    done = installation.person.python(str(script), "--cloud", *words)
    return Run(installation.person, done.returncode, done.stdout, done.stderr).id


def launch_waiting(installation: Installation) -> str:
    """Launch `scripts.WAITING`; return the pipeline's id as soon as its command runs."""
    script = installation.script("waiting.py", scripts.WAITING)
    pipeline = launch(installation, script, "--run", "--detach")
    until(lambda: state(installation, pipeline, "/wait") == "running", "the command runs")
    return pipeline


def let_go(installation: Installation, pipeline_id: str) -> None:
    """Let the command of `scripts.WAITING` end."""
    (installation.person.base / "go").write_text("")
    installation.person.ask("data", "put", pipeline_id, "go")


def assert_goes_on(installation: Installation, pipeline_id: str) -> None:
    """Let the command of `scripts.WAITING` end: it was started once, and the next one follows."""
    let_go(installation, pipeline_id)
    until(lambda: state(installation, pipeline_id, "/") == "done", "the pipeline is done")
    nodes = {node["path"]: node for node in installation.person.read("show", pipeline_id)["nodes"]}
    assert len(nodes["/wait"]["attempts"]) == 1


def test_deploy_logs_in(installation: Installation) -> None:
    doctor = installation.person.conducto("doctor", "--cloud")

    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert "64 vCPUs at once" in doctor.stdout
    authorizer = function_name(installation.stage, "authorize")
    limits = boto3.client("lambda").get_function_concurrency(FunctionName=authorizer)
    assert limits["ReservedConcurrentExecutions"] == RESERVED["authorize"]


def test_hello_runs(installation: Installation) -> None:
    run = installation.person.run(HELLO, side="cloud")

    assert run.code == 0, run.stdout + run.stderr
    assert set(run.states.values()) == {"done"}


def test_failed_pipeline_is_reset_and_continues(installation: Installation) -> None:
    person = installation.person
    run = person.run(installation.script("failing.py", scripts.FAILING), side="cloud")
    assert (run.code, run.states["/test"], run.states["/after"]) == (1, "error", "pending")
    assert run.output("/test", "stderr") == "no\n"

    (person.base / "fix").write_text("")
    person.ask("data", "put", run.id, "fix")
    person.ask("reset", run.id, "/test", "--watch")

    assert state(installation, run.id, "/") == "done"
    assert run.output("/after") == "after\n"


@pytest.fixture(scope="module")
def kinds(installation: Installation) -> Run:
    """Return a pipeline that has something of everything."""
    person = installation.person
    stored = person.conducto("secrets", "set", "TOKEN", "--cloud", given="s3cret-value\n")
    assert stored.returncode == 0, stored.stderr
    (person.base / "words.txt").write_text("copied words\n")
    run = person.run(installation.script("kinds.py", scripts.KINDS), side="cloud")
    assert run.code == 0, run.stdout + run.stderr
    return run


def test_secrets_reach_commands_and_are_masked(kinds: Run) -> None:
    assert kinds.states["/all/secret"] == "done"
    assert "s3cret-value" not in kinds.output("/all/secret")


def test_commands_share_data(kinds: Run) -> None:
    assert kinds.output("/read") == "kept\nmine\n"


def test_codebuild_builds_an_image_with_code(kinds: Run) -> None:
    assert kinds.output("/all/copied") == "copied words\n"


def test_a_container_of_ones_own_keeps_its_state(kinds: Run) -> None:
    assert kinds.output("/own/read") == "state\n"


def test_a_lazy_grows(kinds: Run) -> None:
    (leaf,) = [path for path in kinds.states if path.endswith("/leaf")]

    assert kinds.output(leaf) == "leaf of a lazy\n"


def test_a_shell_opens_on_this_machine(installation: Installation, kinds: Run) -> None:
    words = ["debug", kinds.id, "/own/read"]
    person = installation.person
    environment = {
        **os.environ,
        "CONDUCTO_BASE_DIR": str(person.base),
        "CONDUCTO_PROFILE": person.profile,
    }
    shell = pexpect.spawn(
        "conducto", words, cwd=person.base, env=environment, encoding="utf-8", timeout=TIMEOUT
    )
    shell.expect(r"[#$] (\x1b\[6n)?$")  # input before the prompt is lost
    shell.sendline("cat words.txt; echo sum $((40 + 2)); exit")

    shell.expect("copied words")
    shell.expect("sum 42")
    shell.expect(pexpect.EOF)


def test_this_machine_builds_and_pushes_an_image(installation: Installation) -> None:
    person = installation.person
    (person.base / "Dockerfile").write_text(scripts.DOCKERFILE)
    script = installation.script("built.py", scripts.BUILT)

    run = person.run(script, "--build", "local", side="cloud")

    assert run.code == 0, run.stdout + run.stderr
    assert run.output("/read") == "made here\n"


def test_large_files_are_returned_unchanged(installation: Installation, kinds: Run) -> None:
    person = installation.person
    content = hashlib.shake_256(b"large").digest(LARGE_BYTES)
    (person.base / "large").write_bytes(content)

    person.ask("data", "put", kinds.id, "large")
    person.ask("data", "get", kinds.id, "large", "back")

    assert (person.base / "back").read_bytes() == content


def test_every_minute_the_rule_runs_its_function(installation: Installation) -> None:
    logs = boto3.client("logs")

    def has_run() -> bool:
        group = "/aws/lambda/conducto-main-every-minute"
        return bool(logs.describe_log_streams(logGroupName=group)["logStreams"])

    until(has_run, "the every-minute rule")


# ---- assistants ---------------------------------------------------------------------------------


def request(url: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Return the status and the document of a response."""
    data = None if body is None else json.dumps(body).encode()
    given = {"content-type": "application/json", "accept": "application/json", **headers}
    try:
        with urlopen(Request(url, data, given), timeout=60) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, error.read()


def test_assistant_reaches_its_tools_through_the_site(installation: Installation) -> None:
    person = installation.person
    site = urlsplit(person.ask("show", "--app", "--cloud").stdout.split()[0])
    origin = f"{site.scheme}://{site.netloc}"
    words = ("tokens", "create", "ci", "--assistant", "--allow", "read", "--json")
    token = json.loads(person.ask(*words).stdout)["token"]
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    url = f"{origin}{MCP_PATH}"

    status, listed = request(url, message, authorization=f"Bearer {token}")
    nobody, _ = request(url, message, authorization="Bearer cdo_nobody")
    got, _ = request(url, authorization=f"Bearer {token}")
    _, metadata = request(f"{origin}{METADATA_PATH}")

    assert status == 200, listed
    names = [tool["name"] for tool in listed["result"]["tools"]]
    assert names == [tool.name for tool in TOOLS if tool.scope == "read"]
    assert nobody in {401, 403}
    assert got == 405
    assert metadata["resource"] == url


def test_report_of_a_deployment_has_its_automatic_rows(installation: Installation) -> None:
    file = installation.person.base / "report.json"

    installation.deploy("--report", str(file))

    rows = {row["check"]: row["result"] for row in json.loads(file.read_text())["rows"]}
    assert set(rows.values()) == {"ok"}, rows
    assert {"deploy", "hello", "failure and rerun", "teardown"} <= set(rows)


# ---- the web app --------------------------------------------------------------------------------


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        # The test's authority is in no store of the browser's.
        flags = [*FLAGS, "--ignore-certificate-errors"]
        browser = playwright.chromium.launch(executable_path=chromium(), args=flags)
        made = browser.new_page()
        made.set_default_timeout(TIMEOUT * 1000)
        yield made
        browser.close()


def test_a_browser_signs_in_and_follows_a_pipeline(installation: Installation, page: Page) -> None:
    person = installation.person
    pipeline = launch_waiting(installation)
    address, line = person.ask("show", pipeline, "--app", "--cloud").stdout.splitlines()
    with page.expect_websocket() as opened:
        page.goto(f"{address}#code={line.rpartition(' ')[2]}")
    expect(page.locator(".PipelineHead-head")).to_contain_text("1 running", timeout=TIMEOUT * 1000)
    page.evaluate("window.sameDocument = true")

    with opened.value.expect_event("framereceived"):
        let_go(installation, pipeline)

    expect(page.locator(".PipelineHead-head")).to_contain_text("2 done", timeout=TIMEOUT * 1000)
    row = page.get_by_role("treeitem").filter(has_text="after")
    expect(row).to_contain_text("done")
    assert page.evaluate("window.sameDocument")
    assert not opened.value.is_closed()


# ---- deployments over deployments ---------------------------------------------------------------


@pytest.mark.long
def test_deployments_with_other_settings_leave_a_running_pipeline_alone(
    installation: Installation,
) -> None:
    pipeline = launch_waiting(installation)

    installation.deploy(remote_debug="false")
    installation.deploy(**EVERYTHING)
    installation.deploy(**dict.fromkeys(EVERYTHING, ""), remote_debug="")

    assert_goes_on(installation, pipeline)


def test_policies_allow_all_that_roles_did_and_no_more(
    installation: Installation, folder: Path
) -> None:
    rights = calls.rights_of(installation)
    done = list(asked(calls.calls_of(folder / "calls", rights.roles), installation.stage))
    by = {name: [each for each in done if name in each.function] for name in ROLES}
    planted = by["-poll"][0]._replace(resource=by["-poll"][0].resource + "x")
    other = by["-api-handler"][0]._replace(action="s3:GetObject", resource="arn:aws:s3:::other/x")

    assert {name for name, found in by.items() if not found} == set()
    assert refused(rights, done) == []
    assert refused(rights, [planted, other]) == sorted([str(planted), str(other)])


@pytest.mark.long
def test_remaining_pipelines_continue_after_destroy_and_deploy(
    installation: Installation, kinds: Run
) -> None:
    person = installation.person
    paused = launch(installation, HELLO)

    said = installation.destroy()
    assert "conducto-main" in said
    installation.deploy()

    assert kinds.output("/read") == "kept\nmine\n"  # the profile has the new URL
    person.ask("run", paused, "--watch")
    assert state(installation, paused, "/") == "done"


@pytest.mark.long
def test_an_upgrade_from_an_older_version_leaves_a_running_pipeline_alone(folder: Path) -> None:
    before = Installation(folder, "upgraded", older_version.install(folder))
    before.deploy()
    pipeline = launch_waiting(before)

    after = Installation(folder, "upgraded")
    after.deploy()

    with pytest.raises(AssertionError, match=f"this is Conducto {older_version.VERSION}; pip"):
        before.deploy()
    assert_goes_on(after, pipeline)
