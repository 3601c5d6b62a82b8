"""Logging in to a cloud installation, finding the side of a pipeline, reading images' files."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.pipelines import MemoryPipelines
from tests.fakes.transport import InProcessTransport

from conducto import _host
from conducto.api.config import Config
from conducto.errors import DefinitionError, UsageError
from conducto.tree.launch import LaunchOptions
from conducto_cli.app.parser import build_parser
from conducto_cli.launch import cloud_images
from conducto_cli.main import main
from conducto_cli.run.list_command import list_of
from conducto_cli.target import account as cloud_account
from conducto_cli.target import target
from conducto_cli.target.account import SignedInAccount
from conducto_cli.target.connection import guarded
from conducto_client import AgentUnreachableError, ApiError, Client
from conducto_core.api.dispatch import Service
from conducto_core.images import contexts
from conducto_core.images.contexts import Ignore
from conducto_local.agent.state_dir import open_state_dir
from support.cli_trees import record, small_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONDUCTO_URL", "CONDUCTO_TOKEN", "CONDUCTO_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path / "conducto"))
    return tmp_path / "conducto"


# ---- accounts ------------------------------------------------------------------------------------


def test_login_is_stored_privately_in_the_current_profile(home: Path) -> None:
    name = cloud_account.save_login(
        SignedInAccount("https://a.invalid/api", "cdo_x", "acme", "ann")
    )

    assert name == "default"
    assert stat.S_IMODE((home / "default" / "config").stat().st_mode) == 0o600
    assert cloud_account.account_of() == SignedInAccount(
        "https://a.invalid/api", "cdo_x", "acme", "ann"
    )


def test_another_account_gets_a_profile_of_its_own() -> None:
    first = cloud_account.save_login(SignedInAccount("https://a.invalid", "cdo_x", "acme", "ann"))
    again = cloud_account.save_login(SignedInAccount("https://a.invalid", "cdo_y", "acme", "ann"))
    other = cloud_account.save_login(SignedInAccount("https://b.invalid", "cdo_z", "acme", "ann"))

    assert (first, again) == ("default", "default")
    assert other == Config.get_profile_id("https://b.invalid", "acme", "ann")
    assert Config().default_profile == other
    assert cloud_account.account_of("default") is not None


def test_a_token_is_in_no_repr() -> None:
    assert "cdo_x" not in repr(SignedInAccount("https://a.invalid", "cdo_x"))


def test_the_environment_goes_before_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud_account.save_login(SignedInAccount("https://a.invalid", "cdo_x", "acme", "ann"))
    monkeypatch.setenv("CONDUCTO_TOKEN", "cdo_ci")

    found = cloud_account.account_of()

    assert found is not None
    assert (found.url, found.token) == ("https://a.invalid", "cdo_ci")


def test_logout_forgets_the_token_and_nothing_else(capsys: Output) -> None:
    cloud_account.save_login(SignedInAccount("https://a.invalid", "cdo_x", "acme", "ann"))

    assert main(["logout"]) == 0
    shown = capsys.readouterr().out
    assert "not revoked and stays valid until it expires" in shown
    assert "cdo_x" not in shown
    assert cloud_account.account_of() is None
    assert Config().get_profile_general("default", "url") == "https://a.invalid"
    assert main(["logout"]) == 0
    assert capsys.readouterr().out == "not logged in\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--url", "https://a.invalid", "--token", "cdo_secret"], "--token takes '-' only"),
        (["--url", "https://a.invalid", "cdo_secret"], "--token takes '-' only"),
        (["--url", "https://a.invalid", "--tokn=cdo_secret"], "--token takes '-' only"),
        (["--url", "https://a.invalid", "-cdo_secret"], "--token takes '-' only"),
        (["--url", "ftp://a.invalid", "--token", "-"], "is not an address"),
        (["--url", "http://a.invalid:1234,", "--token", "-"], "is not an address"),
        (["--url", "http://a.invalid:99999", "--token", "-"], "is not an address"),
        (["--url", "http://[a.invalid", "--token", "-"], "is not an address"),
        (["--url", "https://", "--token", "-"], "is not an address"),
        (["--url", "https://a b", "--token", "-"], "is not an address"),
        (["--token", "-"], "say where"),
        (["--url", "https://a.invalid"], "no terminal to ask on"),
        (["--url", "https://a.invalid", "--token", "-"], "invalid token: expected one line"),
    ],
)
def test_wrong_login_shows_the_correct_usage(
    words: list[str], said: str, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))

    assert main(["login", *words]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "cdo_secret" not in told


def test_an_installation_that_does_not_answer_is_not_logged_in_to(
    capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("cdo_secret\n"))

    assert main(["login", "--url", "http://127.0.0.1:9", "--token", "-"]) == 1
    told = capsys.readouterr().err
    assert "http://127.0.0.1:9 does not answer" in told
    assert "conducto cloud-emulator up" in told
    assert cloud_account.account_of() is None


def test_a_launch_in_the_cloud_needs_a_login(capsys: Output) -> None:
    code = _host.launch(None, LaunchOptions(), "cloud")

    assert code == 2
    said = capsys.readouterr().err
    assert "conducto login --url URL" in said
    assert "--local" in said


def test_the_process_engine_is_of_this_machine(capsys: Output) -> None:
    assert _host.launch(None, LaunchOptions(engine="process"), "cloud") == 2
    assert "--engine process runs on this machine only" in capsys.readouterr().err


# ---- sides ---------------------------------------------------------------------------------------


@pytest.fixture
def two_sides() -> Iterator[tuple[Callable[[], Client], Callable[[], Client], str, str]]:
    """Two services with a pipeline each."""
    with ExitStack() as stack:
        clients = []
        for name in ("abc-def", "uvw-xyz"):
            pipelines = MemoryPipelines()
            pipelines.add(name, small_tree(), record().model_copy(update={"id": name}))
            transport = stack.enter_context(InProcessTransport(Service(pipelines)))
            clients.append(Client(transport))
        local, cloud = clients
        yield (lambda: local), (lambda: cloud), "abc-def", "uvw-xyz"


def away(text: str = "the cloud installation at https://a.invalid is away") -> Callable[[], Client]:
    """Return a factory of clients for an unreachable target."""

    def opener() -> Client:
        raise AgentUnreachableError(text)

    return opener


def test_local_pipelines_are_searched_before_the_cloud(two_sides: Any) -> None:
    local, cloud, here, there = two_sides

    assert not target.is_in_cloud(here, local, cloud)
    assert target.is_in_cloud(there, local, cloud)
    assert not target.is_in_cloud(here, local, away())
    with pytest.raises(
        UsageError, match="no pipeline 'uvw-xyy' on this machine or in the cloud; did you mean"
    ):
        target.is_in_cloud("uvw-xyy", local, cloud)


def _use_this_machine() -> None:
    """Make the files of an agent that had pipelines."""
    state = open_state_dir()
    state.make()
    state.store.touch()


@pytest.mark.parametrize("line", ["list", "usage", "show abc-def", "usage abc-def"])
def test_no_agent_starts_on_a_machine_without_pipelines(line: str) -> None:
    cloud_account.save_login(SignedInAccount("https://a.invalid/api", "cdo_x", "acme", "ann"))
    arguments = build_parser().parse_args(line.split())
    account = cloud_account.account_of()
    assert account is not None

    assert getattr(target.opener_for(arguments), "__self__", None) == account
    assert target.second_opener(arguments) is None


def test_machine_with_pipelines_is_searched() -> None:
    cloud_account.save_login(SignedInAccount("https://a.invalid/api", "cdo_x", "acme", "ann"))
    _use_this_machine()
    arguments = build_parser().parse_args(["list"])
    account = cloud_account.account_of()
    assert account is not None

    assert getattr(target.opener_for(arguments), "__self__", None) is None
    assert target.second_opener(arguments) is not None


def test_a_pipeline_of_the_cloud_is_found_without_an_agent(two_sides: Any) -> None:
    _, cloud, _, there = two_sides

    assert target.is_in_cloud(there, away("no agent"), cloud)


def test_error_names_targets_that_were_not_searched(two_sides: Any) -> None:
    local, cloud, *_ = two_sides

    with pytest.raises(AgentUnreachableError) as of_cloud:
        target.is_in_cloud("nowhere", local, away("no network"))
    with pytest.raises(AgentUnreachableError) as of_machine:
        target.is_in_cloud("nowhere", away("no agent"), cloud)
    with pytest.raises(AgentUnreachableError) as of_both:
        target.is_in_cloud("nowhere", away("no agent"), away("no network"))

    said = [str(each.value).splitlines() for each in (of_cloud, of_machine, of_both)]
    no_cloud = "it was not looked for in the cloud: no network"
    no_agent = "it was not looked for on this machine: no agent"
    assert said == [
        ["no pipeline 'nowhere' on this machine", no_cloud],
        ["no pipeline 'nowhere' in the cloud", no_agent],
        [no_agent, no_cloud],
    ]


def test_an_id_that_may_be_any_of_several_here_is_not_looked_for_in_the_cloud() -> None:
    pipelines = MemoryPipelines()
    for number in range(9):
        name = f"abc-{number}"
        pipelines.add(name, small_tree(), record().model_copy(update={"id": name}))
    with InProcessTransport(Service(pipelines)) as transport, pytest.raises(ApiError) as refusal:
        target.is_in_cloud("abc", lambda: Client(transport), away())

    assert refusal.value.status == 409
    assert str(refusal.value) == (
        "'abc' could be any of abc-0, abc-1, abc-2, abc-3, abc-4 and 4 more; give more of the id"
    )


@pytest.mark.parametrize("line", ["show nowhere", "logs nowhere /a", "reset nowhere /", "tree x"])
def test_error_for_missing_pipeline_says_that_the_cloud_was_not_searched(
    line: str, capsys: Output, two_sides: Any
) -> None:
    local, *_ = two_sides
    arguments = build_parser().parse_args(line.split())

    code = guarded(lambda: 1 if target.is_in_cloud(arguments.id, local, away()) else 0)

    said = capsys.readouterr().err
    assert code == 1
    assert said.startswith(f"conducto: no pipeline {arguments.id!r} on this machine\n")
    assert "it was not looked for in the cloud: the cloud installation" in said


def test_target_option_may_precede_or_follow_the_command() -> None:
    parse = build_parser().parse_args

    assert parse(["list", "--cloud"]).target == "cloud"
    assert parse(["data", "list", "abc", "--cloud"]).target == "cloud"
    assert parse(["show", "abc", "--local"]).target == "local"
    assert parse(["show", "abc"]).target is None


def test_cloud_commands_require_login(capsys: Output) -> None:
    assert main(["list", "--cloud"]) == 2
    assert "not logged in" in capsys.readouterr().err


def test_profile_may_set_the_target() -> None:
    Config().set_profile_general("default", "target", "cloud")
    arguments = build_parser().parse_args(["show", "abc"])

    with pytest.raises(UsageError, match="not logged in"):
        target.opener_for(arguments)
    Config().set_profile_general("default", "target", "moon")
    with pytest.raises(UsageError, match="'moon'; it can be local or cloud"):
        target.opener_for(arguments)


def test_list_shows_both_targets_after_login(two_sides: Any, capsys: Output) -> None:
    local, cloud, here, there = two_sides
    arguments = build_parser().parse_args(["list"])

    assert list_of((local, cloud), arguments) == 0
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].split() == ["ID", "TARGET", "STATE", "DONE", "CREATED", "TITLE"]
    assert {line.split()[0] for line in lines[1:]} == {here, there}


@pytest.mark.parametrize("json_wanted", [True, False])
def test_unreachable_target_is_reported_and_the_other_is_listed(
    two_sides: Any, capsys: Output, json_wanted: bool
) -> None:
    local, cloud, here, there = two_sides
    words = ["list", *(["--json"] if json_wanted else [])]
    arguments = build_parser().parse_args(words)

    def listed() -> tuple[set[str], str]:
        said = capsys.readouterr()
        if json_wanted:
            return {each["id"] for each in json.loads(said.out)}, said.err
        return {line.split()[0] for line in said.out.splitlines()[1:]}, said.err

    assert list_of((local, away()), arguments) == 0
    found, told = listed()
    assert found == {here}
    assert told.startswith(
        "conducto: the pipelines of the cloud are not listed: the cloud installation at https://a"
    )
    assert told.endswith("To leave the cloud out: conducto list --local\n")

    assert list_of((away("no agent"), cloud), arguments) == 0
    found, told = listed()
    assert found == {there}
    assert told == (
        "conducto: the pipelines of this machine are not listed: no agent\n"
        "To leave this machine out: conducto list --cloud\n"
    )


def test_list_without_a_reachable_target_fails_with_both_reasons(capsys: Output) -> None:
    arguments = build_parser().parse_args(["list"])

    assert guarded(lambda: list_of((away("no agent"), away("gone")), arguments)) == 1
    assert guarded(lambda: list_of((away("gone"),), arguments)) == 1

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "conducto: gone\nconducto: no agent\nconducto: gone\n"


def test_empty_list_names_its_target(capsys: Output) -> None:
    with InProcessTransport(Service(MemoryPipelines())) as transport:
        for words in (["list"], ["list", "--tag=x"]):
            arguments = build_parser().parse_args(words)
            assert list_of((lambda: Client(transport), away()), arguments) == 0

    said = capsys.readouterr().out
    assert said == "no pipelines on this machine\nno such pipelines on this machine\n"


def test_list_of_both_targets_respects_its_limit(two_sides: Any, capsys: Output) -> None:
    local, cloud, *_ = two_sides

    assert list_of((local, cloud), build_parser().parse_args(["list", "--limit=1"])) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_list_shows_one_target_if_requested_or_not_logged_in() -> None:
    parse = build_parser().parse_args
    assert target.second_opener(parse(["list"])) is None
    cloud_account.save_login(SignedInAccount("https://a.invalid", "cdo_x", "acme", "ann"))
    _use_this_machine()

    assert target.second_opener(parse(["list"])) is not None
    assert target.second_opener(parse(["list", "--local"])) is None
    assert target.second_opener(parse(["list", "--cloud"])) is None


def test_usage_shows_the_cloud_after_login() -> None:
    def account(*words: str) -> object:
        """Return the account whose clients a command gets; None is this machine."""
        return getattr(target.opener_for(build_parser().parse_args(words)), "__self__", None)

    assert account("usage") is None
    mine = SignedInAccount("https://a.invalid", "cdo_x", "acme", "ann")
    cloud_account.save_login(mine)

    assert account("usage") == mine
    assert account("usage", "--local") is None


# ---- files of images -----------------------------------------------------------------------------


def context_of(root: Path) -> contexts.Context:
    return contexts.read_context(str(root), Ignore())


def test_files_that_look_like_secrets_are_named(tmp_path: Path) -> None:
    root = tmp_path / "code"
    (root / "deep").mkdir(parents=True)
    for name in (".env", "deep/id_rsa", "server.pem", ".env.example", "id_rsa.pub", "app.py"):
        (root / name).touch()

    (line,) = cloud_images.remarks("app", context_of(root))

    assert line.startswith("warning: image 'app' takes along '.env', 'deep/id_rsa', 'server.pem',")
    assert ".dockerignore" in line
    assert "example" not in line


def test_links_that_lead_out_are_copied_as_links_and_named(tmp_path: Path) -> None:
    root = tmp_path / "code"
    (root / "deep").mkdir(parents=True)
    (root / "deep" / "out").symlink_to("../../elsewhere")
    (root / "deep" / "in").symlink_to("../app.py")
    (root / "absolute").symlink_to("/etc/passwd")
    context = context_of(root)

    (line,) = cloud_images.remarks("app", context)

    assert "'absolute', 'deep/out' is copied as a link" in line
    packed = b"".join(contexts.pack(context))
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert tar.getmember("absolute").issym()


def form_of(images: dict[str, Any], image: str) -> dict[str, Any]:
    node = {"id": "0", "type": "Exec", "command": "x", "image_name": image}
    return {"nodes": [node], "edges": [], "images": images}


class Wanting:
    """A cloud that wants every directory, at an address where nothing is."""

    def missing_contexts(self, hashes: tuple[str, ...]) -> dict[str, str]:
        return dict.fromkeys(hashes, "http://127.0.0.1:1/never")


def test_oversized_directory_is_rejected_and_large_entries_are_named(tmp_path: Path) -> None:
    root = tmp_path / "code"
    (root / "videos").mkdir(parents=True)
    (root / "videos" / "a").write_bytes(os.urandom(3_000_000))
    (root / "app.py").write_text("x")

    with pytest.raises(UsageError) as caught:
        cloud_images.upload(Wanting(), {"h": context_of(root)}, print, maximum=1 << 20)  # type: ignore[arg-type]

    told = str(caught.value)
    assert f"{str(root)!r} is more than 0.000976562 GB packed, too much for an image" in told
    assert "(videos 3 MB, app.py 0 MB); leave out in .dockerignore" in told


def test_directory_that_changes_between_hash_and_upload_is_not_uploaded(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("x")
    digest = contexts.upload_hash(context_of(tmp_path))
    (tmp_path / "app.py").write_text("y")

    with pytest.raises(UsageError, match="changed while it was read; launch again"):
        cloud_images.upload(Wanting(), {digest: context_of(tmp_path)}, print)  # type: ignore[arg-type]


def test_only_images_that_are_built_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    images = {
        "plain": {"image": "busybox"},
        "own": {"image": "busybox", "copy_dir": str(tmp_path)},
        "unused": {"image": "busybox", "copy_dir": str(tmp_path / "gone")},
    }

    found = cloud_images.read(form_of(images, "own"), print)

    assert list(found.sources) == ["own"]
    assert found.sources["own"].code in found.contexts


def test_missing_files_of_a_node_are_an_error(tmp_path: Path) -> None:
    images = {"own": {"image": "busybox", "copy_dir": str(tmp_path / "gone")}}

    with pytest.raises(UsageError, match=r"image 'own': .*gone' does not exist"):
        cloud_images.read(form_of(images, "own"), print)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"requires_docker": True}, "/: requires_docker is not available in the cloud"),
        ({"gpu": 1}, "/: gpu=1: Fargate has no GPUs"),
        ({"docker_run_args": ["--privileged"]}, "/: docker_run_args is not available"),
        ({"cpu": 100}, "/: "),
    ],
)
def test_unavailable_cloud_features_are_rejected_before_the_upload(
    params: dict[str, Any], said: str
) -> None:
    form = form_of({"i": {"image": "busybox"}}, "i")
    form["nodes"][0].update(params)

    with pytest.raises(DefinitionError) as caught:
        cloud_images.read(form, print)

    assert str(caught.value).startswith(said)


def test_a_branch_that_cannot_be_looked_up_names_no_password() -> None:
    url = f"file://{os.devnull}/nowhere"
    with pytest.raises(contexts.ContextError, match="branch 'main': cannot be looked up"):
        cloud_images.head_of(url, "main")
    with pytest.raises(contexts.ContextError) as caught:
        cloud_images.head_of("http://me:pa55word@127.0.0.1:9/x", "main")
    assert "pa55word" not in str(caught.value)


# ---- profiles ------------------------------------------------------------------------------------


def test_read_of_a_new_profile_is_noted_once(capsys: Output) -> None:
    arguments = build_parser().parse_args(["--profile", "nope", "list"])

    target.opener_for(arguments)
    target.opener_for(arguments)

    assert capsys.readouterr().err == (
        "note: profile 'nope' is new, so it has no pipelines; "
        "'conducto-profile list' lists profiles with a configuration\n"
    )


@pytest.mark.parametrize(
    "words",
    [["list"], ["--profile", "nope", "secrets", "list"], ["--profile", "nope", "schedule", "list"]],
)
def test_first_use_of_a_profile_without_pipelines_is_not_noted(
    monkeypatch: pytest.MonkeyPatch, capsys: Output, words: list[str]
) -> None:
    monkeypatch.setenv("CONDUCTO_PROFILE", "fresh")

    target.opener_for(build_parser().parse_args(words))

    assert capsys.readouterr().err == ""


def test_invalid_profile_is_refused_without_a_note(capsys: Output) -> None:
    with pytest.raises(UsageError):
        target.opener_for(build_parser().parse_args(["--profile", "a/b", "list"]))

    assert capsys.readouterr().err == ""
