import io
import threading
import time
from collections.abc import Callable

import pytest

from conducto_cli.app.exit import LEFT
from conducto_cli.view.session import watch_pipeline
from conducto_cli.view.watch import PlainView, last_line, watch
from conducto_client import ApiError, Client
from conducto_core.run.model.records import ImageRecord, ImageState
from conducto_core.run.model.states import Cause, State
from support.cli_trees import CountingPipelines, record, small_tree, view

OpenClient = Callable[[], Client]


def play(*steps: Callable[[], None]) -> threading.Thread:
    """Do the steps in another thread, each once the one before has been seen."""

    def run() -> None:
        for step in steps:
            step()
            time.sleep(0.01)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def finish_all(fake: CountingPipelines, cause: Cause | None = None) -> list[Callable[[], None]]:
    return [
        lambda: fake.finish("abc-def", "/build"),
        lambda: fake.finish("abc-def", "/tests/login", cause),
        lambda: fake.finish("abc-def", "/tests/logout"),
    ]


def test_watching_ends_when_the_pipeline_settles(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    player = play(*finish_all(fake))
    out = io.StringIO()

    model = watch(open_client, "abc-def", PlainView(out))

    player.join()
    said = {tuple(line.split()[:2]) for line in out.getvalue().splitlines()}
    assert model.summary.state is State.DONE
    assert said == {("done", "/build"), ("done", "/tests/login"), ("done", "/tests/logout")}


def test_a_lazy_that_fails_says_why_where_it_fails(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    def fail() -> None:
        fake.change("abc-def", "/build", State.RUNNING)
        fake.change(
            "abc-def", "/build", State.ERROR, cause=Cause.LAZY, exit_code=0,
            message="/a: cpu=64 is more than\n\x1b[2Jthis machine has",
        )  # fmt: skip

    player = play(fail, *finish_all(fake)[1:])
    out = io.StringIO()

    watch(open_client, "abc-def", PlainView(out))

    player.join()
    (line,) = [line for line in out.getvalue().splitlines() if "/build" in line]
    said = r"made no valid tree: /a: cpu=64 is more than \x1b[2Jthis machine has"
    assert line.startswith(f"error   /build  {said}")


def test_node_that_ended_before_the_first_read_is_printed(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    for step in finish_all(fake):
        step()
    out = io.StringIO()

    watch(open_client, "abc-def", PlainView(out))

    assert len(out.getvalue().splitlines()) == 3


def test_a_settlement_without_an_event_is_seen(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    fake.add("idle", [view("/", "Serial"), view("/a")], record("idle", armed=False))

    model = watch(open_client, "idle", PlainView(io.StringIO()))

    assert model.summary.state is State.PENDING


def test_missing_pipeline_is_an_error(open_client: OpenClient) -> None:
    with pytest.raises(ApiError, match="nope"):
        watch(open_client, "nope", PlainView(io.StringIO()))


@pytest.mark.parametrize(("cause", "code"), [(None, 0), (Cause.EXIT_CODE, 1), (Cause.TIMEOUT, 1)])
def test_the_exit_code_is_that_of_the_root(
    cause: Cause | None,
    code: int,
    fake: CountingPipelines,
    open_client: OpenClient,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for step in finish_all(fake, cause):
        step()

    assert watch_pipeline(open_client, "abc-def", plain=True) == code
    assert ("✘" in capsys.readouterr().out) is (code == 1)


def test_image_is_printed_before_the_commands_that_ended_while_the_view_opened(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    building = ImageRecord(name="app", state=ImageState.BUILDING, started=1.0)
    fake.set_image("abc-def", building, "Step 1/2\n")
    clients: list[Client] = []
    out = io.StringIO()

    def open_one() -> Client:
        if len(clients) == 1:  # the summary was read, and the tree was not
            fake.set_image("abc-def", building.model_copy(update={"state": ImageState.DONE}))
            for step in finish_all(fake):
                step()
        clients.append(open_client())
        return clients[-1]

    watch(open_one, "abc-def", PlainView(out))

    words = [line.split()[0] for line in out.getvalue().splitlines()]
    assert words[:2] == ["image", "done"]


def test_image_change_is_printed_without_other_changes(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    building = ImageRecord(name="app", state=ImageState.BUILDING, started=1.0)
    fake.set_image("abc-def", building, "Step 1/2\n")
    out = io.StringIO()
    player = play(
        lambda: time.sleep(0.3),
        lambda: fake.set_image("abc-def", building.model_copy(update={"state": ImageState.DONE})),
        *finish_all(fake),
    )

    watch(open_client, "abc-def", PlainView(out))

    player.join()
    images = [line for line in out.getvalue().splitlines() if line.startswith("image")]
    assert images == ["image   app  building", "image   app  done"]


@pytest.mark.parametrize(
    ("text", "last"),
    [("", ""), ("a\nb\n", "b"), ("a\n\n \n", "a"), ("10%\r50%\r90%", "90%"), ("x\r\n", "x")],
)
def test_the_last_line_of_a_build(text: str, last: str) -> None:
    assert last_line(text) == last


def test_unstarted_pipeline_notifies_no_end(
    fake: CountingPipelines, open_client: Callable[[], Client]
) -> None:
    fake.add("idle", small_tree(), record("idle", armed=False))

    assert watch_pipeline(open_client, "idle", plain=True) == LEFT


def test_a_run_ends_with_the_address_of_its_page(
    fake: CountingPipelines, open_client: OpenClient, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.app = "http://127.0.0.1:7"
    for step in finish_all(fake):
        step()

    watch_pipeline(open_client, "abc-def", plain=True)

    assert capsys.readouterr().out.splitlines()[-1] == "  page: http://127.0.0.1:7/p/abc-def"
