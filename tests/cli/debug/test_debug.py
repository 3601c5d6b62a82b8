"""``conducto debug`` up to the point where a container engine is needed."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.fakes.transport import InProcessTransport

from conducto_cli.app.parser import build_parser
from conducto_cli.debug.command import run as debug
from conducto_cli.target import connection
from conducto_client import Client
from conducto_core.api.dispatch import Service
from conducto_core.debug.model import DebugMount, DebugPlan, DebugRequest
from conducto_core.errors import RefusedError
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.states import Cause
from conducto_local.debug.terminal import DebugError
from support import debug_plans as plans
from support.cli_trees import CountingPipelines, record, small_tree

Output = pytest.CaptureFixture[str]


class Shells:
    """A stand-in for the engine that records the debug plans."""

    DebugError = DebugError

    def __init__(self) -> None:
        self.opened: list[DebugPlan] = []
        self.code = 0
        self.error: DebugError | None = None

    def open_shell(self, plan: DebugPlan) -> int:
        if self.error is not None:
            raise self.error
        self.opened.append(plan)
        return self.code

    def docker_line(self, plan: DebugPlan) -> str:
        return f"docker run {plan.image}"

    def keep_container(self, plan: DebugPlan) -> str:
        return f"conducto_debug_{plan.pipeline}_1"


class Planning(CountingPipelines):
    """Pipelines whose shells have a secret and code."""

    refusal: RefusedError | None = None

    async def debug(self, params: PipelineParams, request: DebugRequest) -> DebugPlan:
        planned = await super().debug(params, request)
        if self.refusal is not None:
            raise self.refusal
        code = (DebugMount(source="/me/code", target="/mnt/conducto"),) if request.live else ()
        secrets = plans.plan().secrets
        return planned.model_copy(update={"secrets": secrets, "code": code, "notes": ("mind it",)})


@pytest.fixture
def fake() -> Planning:
    pipelines = Planning()
    pipelines.add("abc-def", small_tree(), record())
    return pipelines


@pytest.fixture
def shells() -> Shells:
    return Shells()


@pytest.fixture
def run(fake: Planning, shells: Shells) -> Iterator[Callable[..., int]]:
    with InProcessTransport(Service(fake)) as transport:

        def conducto(*words: str) -> int:
            arguments = build_parser().parse_args(words)
            front: Any = lambda: shells  # noqa: E731
            return connection.guarded(lambda: debug(arguments, lambda: Client(transport), front))

        yield conducto


def test_the_exit_code_is_the_shells(run: Callable[..., int], shells: Shells) -> None:
    shells.code = 42

    assert run("debug", "abc", "build") == 42
    assert [plan.path for plan in shells.opened] == ["/build"]


def test_options_are_sent_to_the_agent(run: Callable[..., int], fake: Planning) -> None:
    fake.finish("abc-def", "/build", Cause.EXIT_CODE)

    run("livedebug", "abc", "/build", "--attempt", "1", "--snapshot")

    asked = DebugRequest(path="/build", attempt=1, live=True, snapshot=True)
    assert fake.shells == [("abc-def", asked)]


def test_a_pattern_that_means_one_node(run: Callable[..., int], shells: Shells) -> None:
    run("debug", "abc", "/**/login")

    assert shells.opened[0].path == "/tests/login"


def test_a_wrong_path_names_the_nearest(run: Callable[..., int], capsys: Output) -> None:
    code = run("debug", "abc", "/biuld")

    assert code == 2
    assert "did you mean '/build'?" in capsys.readouterr().err


def test_the_line_is_alone_on_stdout(run: Callable[..., int], capsys: Output) -> None:
    run("debug", "abc", "/build", "--print")

    captured = capsys.readouterr()
    assert captured.out == "docker run debian\n"
    assert "set them there first: TOKEN" in captured.err
    assert plans.SECRET not in captured.err


def test_mounted_code_is_named(run: Callable[..., int], capsys: Output) -> None:
    run("livedebug", "abc", "/build")

    assert "Mounting /me/code at /mnt/conducto\n" in capsys.readouterr().err


def test_notes_are_printed(run: Callable[..., int], capsys: Output) -> None:
    run("debug", "abc", "/build")

    assert capsys.readouterr().err.startswith("note: mind it\n")


def test_a_container_that_stays_is_named_on_stdout(run: Callable[..., int], capsys: Output) -> None:
    run("debug", "abc", "/build", "--no-shell")

    captured = capsys.readouterr()
    assert captured.out == "conducto_debug_abc-def_1\n"
    assert "docker rm -f conducto_debug_abc-def_1" in captured.err


@pytest.mark.parametrize(("no_engine", "code"), [(True, 3), (False, 1)])
def test_a_shell_that_cannot_open_says_why(
    no_engine: bool, code: int, run: Callable[..., int], shells: Shells, capsys: Output
) -> None:
    shells.error = DebugError("not today", no_engine=no_engine)

    assert run("debug", "abc", "/build") == code
    assert capsys.readouterr().err.endswith("conducto: not today\n")


def test_a_refusal_of_the_agent_is_wrong_usage(
    run: Callable[..., int], fake: Planning, capsys: Output
) -> None:
    fake.refusal = RefusedError("/build: no snapshot")

    assert run("debug", "abc", "/build", "--snapshot") == 2
    assert "conducto: /build: no snapshot" in capsys.readouterr().err
