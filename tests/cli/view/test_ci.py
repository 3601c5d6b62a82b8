"""Runs in CI jobs: output, groups, JUnit reports and job summaries."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

import conducto as co
from conducto.errors import UsageError
from conducto.tree.launch import LaunchOptions
from conducto_cli.launch.local import submit
from conducto_cli.view import ci
from conducto_cli.view.ci import job_summary
from conducto_cli.view.junit import write_junit
from conducto_cli.view.session import watch_pipeline
from conducto_client import Client
from conducto_client.notebook import progress_text
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import Cause, State
from support.cli_trees import CountingPipelines, record, view

OpenClient = Callable[[], Client]
Output = pytest.CaptureFixture[str]
#: What junit-10.xsd of Jenkins' xUnit plugin allows: attributes and children of each element.
SCHEMA = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "time", "skipped", "timestamp", "id"},
        {"testcase"},
    ),
    "testcase": ({"name", "time", "classname"}, {"skipped", "failure", "error"}),
    "error": ({"message", "type"}, set()),
    "skipped": ({"message", "type"}, set()),
    "failure": ({"message", "type"}, set()),
}


@pytest.fixture
def ended(fake: CountingPipelines) -> CountingPipelines:
    """``/build`` is done, ``login`` has failed, ``logout`` was not run; ``/x`` is silent."""
    for path, data in (("/build", b"compiling\n"), ("/tests/login", b"::error::x\n")):
        fake.change("abc-def", path, State.RUNNING)
        fake.write("abc-def", path, data)
    fake.change("abc-def", "/build", State.DONE)
    fake.change("abc-def", "/tests/login", State.ERROR, cause=Cause.EXIT_CODE, exit_code=3)
    return fake


def shown(open_client: OpenClient, capsys: Output, environ: dict[str, str]) -> list[str]:
    with open_client() as client:
        view = ci.stream_view(environ)
        model = ci.PipelineModel(client.get("abc-def"))
        views = list(client.tree("abc-def"))
        model.add(views)
        with view.session(client, "abc-def", lambda _key: None):
            view.added(model, views)
            view.finish(model)
    return capsys.readouterr().out.splitlines()


def test_output_is_streamed_with_paths(
    ended: CountingPipelines, open_client: OpenClient, capsys: Output
) -> None:
    watch_pipeline(open_client, "abc-def", plain=True, stream=True)

    lines = capsys.readouterr().out.splitlines()
    assert "/build | compiling" in lines
    assert "/tests/login | ::error::x" in lines
    (done,) = (number for number, line in enumerate(lines) if line.startswith("done    /build"))
    assert lines.index("/build | compiling") < done


@pytest.mark.parametrize("environ", [{}, {"GITHUB_ACTIONS": "true"}])
def test_output_is_requested_only_of_commands_that_printed(
    environ: dict[str, str], fake: CountingPipelines, open_client: OpenClient, capsys: Output
) -> None:
    with open_client() as client:
        stream, model = ci.stream_view(environ), ci.PipelineModel(client.get("abc-def"))
        views = [*client.tree("abc-def")]
        model.add(views)
        for path, data in (("/build", b""), ("/tests/login", b"ok\n"), ("/tests/logout", b"")):
            fake.change("abc-def", path, State.RUNNING)
            fake.write("abc-def", path, data)
            fake.change("abc-def", path, State.DONE)
        with stream.session(client, "abc-def", lambda _key: None):
            stream.added(model, views)
            for batch in client.events("abc-def", 0):
                model.apply(batch)
                stream.changed(model, batch)
                if model.is_settled:
                    break
            stream.finish(model)

    assert fake.read == ["/tests/login"]
    lines = capsys.readouterr().out.splitlines()
    assert any(line.endswith("ok") for line in lines)
    assert any(line.startswith("done") and "/build" in line for line in lines)


def test_github_gets_groups_in_which_no_command_acts(
    ended: CountingPipelines, open_client: OpenClient, capsys: Output
) -> None:
    lines = shown(open_client, capsys, {"GITHUB_ACTIONS": "true", "NO_COLOR": "1"})

    assert lines[0].startswith("::group::done  /build")
    assert lines[1].startswith("::stop-commands::")
    token = lines[1].removeprefix("::stop-commands::")
    assert lines[2:5] == ["compiling", f"::{token}::", "::endgroup::"]
    assert lines[5].startswith("::stop-commands::")
    assert lines[6].startswith("error  /tests/login  exit 3")
    assert lines[7] == "::error::x"
    assert "line=41,title=/tests/login::error  /tests/login  exit 3" in lines[9]


def test_report_on_github_quotes_output_in_which_no_command_acts(
    ended: CountingPipelines,
    open_client: OpenClient,
    capsys: Output,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended.write("abc-def", "/tests/login", b"##[error]y\n")
    ended.change("abc-def", "/tests/logout", State.DONE)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    watch_pipeline(open_client, "abc-def", plain=True)

    lines = capsys.readouterr().out.splitlines()
    (quoted,) = (number for number, line in enumerate(lines) if "##[error]y" in line)
    stops = [line for line in lines[:quoted] if line.startswith("::stop-commands::")]
    (token,) = (line.removeprefix("::stop-commands::") for line in stops)
    assert f"::{token}::" in lines[quoted:]


def test_names_on_github_cannot_be_commands(
    fake: CountingPipelines, open_client: OpenClient, capsys: Output
) -> None:
    fake.add("abc-def", [view("/", "Serial"), view("/##[error]x")], record())
    fake.change("abc-def", "/##[error]x", State.RUNNING)
    fake.change("abc-def", "/##[error]x", State.DONE)

    lines = shown(open_client, capsys, {"GITHUB_ACTIONS": "true"})

    assert lines[0].startswith("done  /# #[error]x")


def test_buildkite_gets_open_groups_for_failures(
    ended: CountingPipelines, open_client: OpenClient, capsys: Output
) -> None:
    lines = shown(open_client, capsys, {"BUILDKITE": "true", "NO_COLOR": "1"})

    assert lines[0].startswith("--- done  /build")
    assert lines[2].startswith("+++ error  /tests/login  exit 3")


@pytest.mark.parametrize(
    ("chosen", "environ", "plain", "expected"),
    [
        (None, {}, True, False),
        (None, {"CI": "true"}, True, True),
        (None, {"CI": "false"}, True, False),
        (False, {"CI": "true"}, True, False),
        (True, {}, False, True),
    ],
)
def test_ci_jobs_stream_by_default(
    chosen: bool | None, environ: dict[str, str], *, plain: bool, expected: bool, tmp_path: Path
) -> None:
    with (tmp_path / "out").open("w") as stream:
        assert ci.streams(chosen, environ, stream, plain=plain) is expected


def junit(open_client: OpenClient, file: Path) -> ET.Element:
    with open_client() as client:
        write_junit(client, client.get("abc-def"), str(file))
    return ET.fromstring(file.read_text(encoding="utf-8"))


def test_junit_report_has_a_case_for_each_exec(
    ended: CountingPipelines, open_client: OpenClient, tmp_path: Path
) -> None:
    root = junit(open_client, tmp_path / "report.xml")

    (suite,) = root
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
    }
    cases = {f"{case.get('classname')} {case.get('name')}": case for case in suite}
    assert set(cases) == {"/ build", "/tests login", "/tests logout"}
    (failure,) = cases["/tests login"]
    assert (failure.get("type"), failure.get("message")) == ("exit_code", "exit 3")
    assert failure.text == "::error::x"
    assert [each.get("message") for each in cases["/tests logout"]] == ["not run"]


def test_junit_report_follows_the_schema_for_any_name(
    fake: CountingPipelines, open_client: OpenClient, tmp_path: Path
) -> None:
    name = "/a\"<&>\x1b[2J\x00\ud7ff\ufffe'"
    fake.add("abc-def", [view("/", "Serial"), view(name)], record(title=name))
    fake.change("abc-def", name, State.RUNNING)
    fake.write("abc-def", name, b"\x1b[31m<b>&]]>\x00\xff\n")
    fake.change("abc-def", name, State.ERROR, cause=Cause.EXIT_CODE, exit_code=1)

    root = junit(open_client, tmp_path / "report.xml")

    for element in root.iter():
        attributes, children = SCHEMA[element.tag]
        assert set(element.attrib) <= attributes
        assert {child.tag for child in element} <= children


def test_junit_report_of_one_exec_has_a_name(
    fake: CountingPipelines, open_client: OpenClient, tmp_path: Path
) -> None:
    fake.add("abc-def", [view("/")], record())
    fake.change("abc-def", "/", State.RUNNING)
    fake.change("abc-def", "/", State.DONE)

    (suite,) = junit(open_client, tmp_path / "report.xml")

    assert [(case.get("classname"), case.get("name")) for case in suite] == [("/", "/")]


def error_of(file: Path) -> str | None:
    """Return the message of a report that has only an error; check its form."""
    root = ET.fromstring(file.read_text(encoding="utf-8"))
    for element in root.iter():
        attributes, children = SCHEMA[element.tag]
        assert set(element.attrib) <= attributes
        assert {child.tag for child in element} <= children
    ((case,),) = root
    return case[0].get("message") if case[0].tag == "error" else None


def test_launch_that_fails_replaces_an_earlier_junit_report(
    open_client: OpenClient, tmp_path: Path
) -> None:
    file = tmp_path / "report.xml"
    file.write_text("<testsuites/>")
    request = LaunchRequest(tree={"nodes": {"/": {"type": "Serial"}}})

    def refuse() -> Client:
        raise UsageError("no agent")

    with pytest.raises(UsageError, match="no agent"):
        submit(refuse, request, LaunchOptions(run=True, junit=str(file)))

    assert "could not start" in str(error_of(file))
    assert [each.name for each in tmp_path.iterdir()] == ["report.xml"]


def test_script_that_fails_replaces_an_earlier_junit_report(tmp_path: Path) -> None:
    file = tmp_path / "report.xml"
    file.write_text("<testsuites/>")

    def broken() -> co.Serial:
        raise ValueError("no tree")

    argv = ["broken", "--local", "--run", "--junit", str(file)]
    with pytest.raises(SystemExit):
        co.main({"broken": broken}, argv=argv)

    assert "could not start" in str(error_of(file))


@pytest.mark.parametrize("words", [["--local"], ["--local", "--run", "--detach"], []])
def test_junit_report_is_kept_if_no_run_is_reported(words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "report.xml"
    file.write_text("<testsuites/>")

    def broken() -> co.Serial:
        raise ValueError("no tree")

    with pytest.raises(SystemExit):
        co.main({"broken": broken}, argv=["broken", *words, "--junit", str(file)])

    assert file.read_text() == "<testsuites/>"


def test_job_summary_escapes_names_for_html_and_for_markdown(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    name = "/a_b_c|`<i>*x*"
    # An HTML block ends at a blank line only, so markdown's escapes would be visible in it.
    file = "/home/ada/pipe_line_|`<i>.py"
    failed = view(name).model_copy(update={"file": file})
    fake.add("abc-def", [view("/", "Serial"), failed], record(title=name))
    fake.change("abc-def", name, State.RUNNING)
    fake.change("abc-def", name, State.ERROR, cause=Cause.EXIT_CODE, exit_code=1)

    with open_client() as client:
        text = job_summary(client, client.get("abc-def"))

    assert text.startswith("### ❌ /a\\_b\\_c\\|\\`&lt;i&gt;\\*x\\*\n")
    summary = "<code>/a_b_c|`&lt;i&gt;*x*</code> exit 1, pipe_line_|`&lt;i&gt;.py:41</summary>"
    assert summary in text


def test_reports_have_the_active_time_without_the_pause_between_runs(
    ended: CountingPipelines, open_client: OpenClient, tmp_path: Path
) -> None:
    page, junit = tmp_path / "summary.md", tmp_path / "r.xml"
    times = {"started": 100.0, "ended": 1105.0, "active_seconds": 5.0, "settled": True}
    with open_client() as client:
        summary = client.get("abc-def").model_copy(update=times)
        ci.write_reports(client, summary, str(junit), {"GITHUB_STEP_SUMMARY": str(page)})

    assert " in 5.0s." in page.read_text(encoding="utf-8")
    assert junit.read_text(encoding="utf-8").splitlines()[1].endswith('time="5.000">')
    assert progress_text(summary, 2000.0).endswith(", 5 s")


def test_job_summary_names_the_failures(
    ended: CountingPipelines, open_client: OpenClient, tmp_path: Path
) -> None:
    page = tmp_path / "summary.md"
    with open_client() as client:
        environ = {"GITHUB_STEP_SUMMARY": str(page)}
        ci.write_reports(client, client.get("abc-def"), None, environ)

    text = page.read_text(encoding="utf-8")
    assert "**1 of 3 commands failed, for one reason.**" in text
    assert "| 3 | 1 | 1 | 1 | 0 |" in text
    assert "<details><summary><code>/tests/login</code> exit 3, pipeline.py:41</summary>" in text
    assert "```\n::error::x\n```" in text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"run": True, "junit": "/no/such/directory/r.xml"}, "No such file or directory"),
        ({"run": True, "detach": True, "junit": "r.xml"}, "use --run without --detach"),
        ({"junit": "r.xml"}, "use --run without --detach"),
    ],
)
def test_report_that_cannot_be_written_is_an_error_before_the_launch(
    fields: dict[str, object], said: str, fake: CountingPipelines, open_client: OpenClient
) -> None:
    request = LaunchRequest(tree={"nodes": {"/": {"type": "Serial"}}})
    with pytest.raises(UsageError, match=said):
        submit(open_client, request, LaunchOptions(**fields))  # type: ignore[arg-type]

    assert fake.launches == []
