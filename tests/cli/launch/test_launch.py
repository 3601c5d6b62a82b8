from collections.abc import Callable
from pathlib import Path

import pytest

import conducto as co
from conducto.api import Config
from conducto.tree.launch import LaunchOptions
from conducto.tree.launch_form import to_launch_form
from conducto_cli.launch.local import launch as launch_here
from conducto_cli.launch.local import program_of, request_of, submit
from conducto_client import Client, HttpTransport
from conducto_core.secrets.model import PutSecrets, SecretValue
from support.api_server import running_server
from support.cli_trees import CountingPipelines

OpenClient = Callable[[], Client]
Output = pytest.CaptureFixture[str]
FORM = {"nodes": [{"title": "T", "doc": "D", "tags": ["a"]}], "edges": [], "images": {}}


def launch(open_client: OpenClient, *, has_engine: bool = False, **fields: object) -> int:
    return launch_tree(open_client, co.Exec("true"), has_engine=has_engine, **fields)


def launch_tree(
    open_client: OpenClient, root: co.Node, *, has_engine: bool = False, **fields: object
) -> int:
    options = LaunchOptions(**fields)
    form = to_launch_form(root)
    request = request_of(FORM, options).model_copy(update={"tree": form})
    return submit(open_client, request, options, has_engine=has_engine)


def test_a_launch_without_run_is_pending_and_says_how_to_start(
    open_client: OpenClient, capsys: Output
) -> None:
    code = launch(open_client)

    assert code == 0
    assert capsys.readouterr().out == "pipeline p2\npending; start it: conducto run p2\n"


def test_a_detached_launch_says_how_to_come_back(
    fake: CountingPipelines, open_client: OpenClient, capsys: Output
) -> None:
    fake.app = "http://127.0.0.1:7"

    code = launch(open_client, run=True, detach=True)

    assert code == 0
    assert fake.launches[0].run
    assert capsys.readouterr().out == (
        "pipeline p2\nrunning; watch it: conducto show p2\n  page: http://127.0.0.1:7/p/p2\n"
    )


@pytest.mark.parametrize("has_engine", [True, False])
def test_launch_warns_about_missing_engine_features(
    fake: CountingPipelines, open_client: OpenClient, capsys: Output, *, has_engine: bool
) -> None:
    fake.warnings = ("this container engine does not enforce mem=",)

    launch(open_client, has_engine=has_engine)

    warning = "warning: this container engine does not enforce mem=\n"
    assert capsys.readouterr().err == (warning if has_engine else "")


def test_launch_warns_about_unknown_secrets(open_client: OpenClient, capsys: Output) -> None:
    with open_client() as client:
        client.put_secrets(PutSecrets(secrets=(SecretValue(key="NPM_TOKEN", value="abcdefgh"),)))
    root = co.Serial(secrets=["NPM_TOKEN"])
    root["a"] = co.Exec("true", secrets=["NPM_TOKN", "AWS"])
    root["b"] = co.Exec("true", secrets=["AWS"])

    launch_tree(open_client, root)

    assert capsys.readouterr().err == (
        "warning: there is no secret 'NPM_TOKN', which secrets= names; did you mean 'NPM_TOKEN'?\n"
        "warning: there is no secret 'AWS', which secrets= names; run: conducto secrets set AWS\n"
    )


def test_delayed_launch_shows_its_start_time(open_client: OpenClient, capsys: Output) -> None:
    launch(open_client, run_at=0.0)

    assert "start it now: conducto run p2" in capsys.readouterr().out


def test_request_contains_the_values_of_tree_and_flags() -> None:
    options = LaunchOptions(run=True, retention=3, engine="process", tags=["ignored: in the form"])

    request = request_of(FORM, options)

    assert (request.title, request.doc, request.tags) == ("T", "D", ("a",))
    assert (request.run, request.retention, request.engine) == (True, 3, "process")


def test_the_program_is_the_absolute_path_of_the_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pipeline.py").touch()
    monkeypatch.chdir(tmp_path)

    assert program_of(["pipeline.py", "--local"]) == str(tmp_path / "pipeline.py")
    assert program_of(["-c"]) is None


@pytest.mark.parametrize(
    ("configured", "flag", "opened"),
    [(False, True, True), (True, None, True), (True, False, False), (False, None, False)],
)
def test_the_page_is_opened_by_the_flag_or_the_configuration(
    fake: CountingPipelines,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
    *,
    configured: bool,
    flag: bool | None,
    opened: bool,
) -> None:
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path))
    for name in ("BROWSER", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    Config().set("general", "show_app", configured)

    with running_server(fake) as server:
        launch(lambda: Client(HttpTransport(server.endpoint)), app=flag)

    printed = capsys.readouterr().out
    assert (f"web page: {server.endpoint.url}/p/p2\n" in printed) == opened
    assert "code" not in printed  # a log may keep the output


def test_where_images_are_built_is_a_matter_of_the_cloud(capsys: Output) -> None:
    assert launch_here(co.Exec("true"), LaunchOptions(build="local")) == 2
    assert "--build is about images for the cloud" in capsys.readouterr().err
