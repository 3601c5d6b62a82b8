"""Keys in the live view, without a terminal."""

from collections.abc import Callable

import pytest

from conducto_cli.view.key_bindings import KeyBindings
from conducto_cli.view.model import PipelineModel
from conducto_client import Client
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause, State
from support.cli_trees import CountingPipelines


class Person:
    """Presses keys on the newest picture of the fake's pipeline."""

    def __init__(self, fake: CountingPipelines, client: Client) -> None:
        self.fake = fake
        self.client = client
        self.bindings = KeyBindings(client, "abc-def")

    def press(self, *keys: str) -> str:
        """Press keys; return the message shown afterwards."""
        for key in keys:
            model = PipelineModel(self.client.get("abc-def"))
            model.add(self.client.tree("abc-def"))
            self.bindings.press(model, key)
        return self.bindings.note

    @property
    def actions(self) -> list[tuple[Action, tuple[str, ...]]]:
        return [(request.action, request.paths) for _, request in self.fake.actions]

    @property
    def path(self) -> str | None:
        return self.bindings.browser.path


@pytest.fixture
def person(fake: CountingPipelines, open_client: Callable[[], Client]) -> Person:
    return Person(fake, open_client())


def test_the_first_key_only_puts_the_cursor_somewhere(person: Person) -> None:
    note = person.press("r")

    assert (person.path, person.actions) == ("/", [])
    assert note == "r again is for /"


def test_the_cursor_starts_at_the_first_failure(person: Person) -> None:
    person.fake.finish("abc-def", "/tests/logout", Cause.EXIT_CODE)

    person.press("down")

    assert person.path == "/tests/logout"


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        (("j",), "/"),
        (("j", "j"), "/build"),
        (("j", "j", "j"), "/tests"),
        (("j", "j", "j", "right", "right"), "/tests/login"),
        (("j", "j", "j", "right", "right", "left"), "/tests"),
        (("j", "j", "k", "k"), "/"),
        (("j", "G", "right", "G"), "/tests/logout"),
        (("j", "G", "right", "G", "g"), "/"),
        (("j", "page down"), "/tests"),
        (("j", "j", "escape"), None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_keys_move_over_visible_nodes(
    person: Person, keys: tuple[str, ...], path: str | None
) -> None:
    person.press(*keys)

    assert person.path == path


def test_n_goes_from_failure_to_failure_and_begins_again(person: Person) -> None:
    person.fake.finish("abc-def", "/build", Cause.EXIT_CODE)
    person.fake.finish("abc-def", "/tests/logout", Cause.EXIT_CODE)

    paths = []
    for _ in range(3):
        person.press("n")
        paths.append(person.path)

    assert paths == ["/build", "/tests/logout", "/build"]


def test_rerun_of_a_paused_pipeline_asks_with_the_other_execs_and_runs_it(person: Person) -> None:
    person.fake.finish("abc-def", "/build", Cause.EXIT_CODE)
    person.press("space")  # the pipeline is paused

    question = person.press("n", "r")
    person.press("y")

    assert question == "rerun /build; 2 pending Execs will also run? y or n"
    assert person.actions[1:] == [(Action.RERUN, ("/build",))]


@pytest.mark.parametrize(("response", "count"), [("y", 1), ("n", 0), ("escape", 0), ("r", 0)])
def test_several_are_rerun_only_after_a_yes(person: Person, response: str, count: int) -> None:
    person.fake.finish("abc-def", "/build", Cause.EXIT_CODE)
    person.fake.finish("abc-def", "/tests/logout", Cause.EXIT_CODE)

    question = person.press("n", "g", "r")
    person.press(response)

    assert question == "rerun 2 Execs? y or n"
    assert len(person.actions) == count


def test_everything_that_failed_is_rerun_with_one_key(person: Person) -> None:
    person.fake.finish("abc-def", "/tests/login", Cause.EXIT_CODE)
    person.fake.finish("abc-def", "/tests/logout", Cause.TIMEOUT)

    person.press("R", "y")

    assert person.actions == [(Action.RERUN, ("/tests/login", "/tests/logout"))]


def test_server_selects_failed_nodes(person: Person) -> None:
    person.fake.finish("abc-def", "/build", Cause.EXIT_CODE)

    person.press("R", "y")

    assert [(asked.failed, asked.paths) for asked in person.fake.asked[:2]] == [(True, ())] * 2


def test_rerun_without_failures_is_reported(person: Person) -> None:
    assert person.press("R") == "nothing failed"
    assert person.press("n") == "nothing failed"


def test_s_skips_and_unskips(person: Person) -> None:
    person.press("j", "j", "s", "s")

    assert person.actions == [(Action.SKIP, ("/build",)), (Action.UNSKIP, ("/build",))]


def test_killing_a_running_node_asks_first(person: Person) -> None:
    person.fake.change("abc-def", "/build", State.RUNNING)

    question = person.press("j", "j", "x")

    assert question == "kill /build, which runs? y or n"
    assert person.actions == []


def test_space_pauses_and_runs(person: Person) -> None:
    person.press("space", "space")

    assert person.actions == [(Action.PAUSE, ()), (Action.RUN, ())]


def test_rejected_action_is_shown_and_the_view_continues(person: Person) -> None:
    person.press("j", "j")
    person.bindings.browser.path = "/"
    note = person.press("x")

    assert note == "nothing to kill"
    assert not person.bindings.left


def test_output_is_read_again_and_again(person: Person) -> None:
    person.fake.change("abc-def", "/build", State.RUNNING)
    person.fake.write("abc-def", "/build", b"one\n")
    person.press("j", "j", "l")
    reading = person.bindings.reading
    assert reading is not None
    first = dict(reading.lines)

    person.fake.write("abc-def", "/build", b"two\n")
    person.bindings.refresh_output()

    assert (first["stdout"], reading.lines["stdout"]) == (["one"], ["one", "two"])
    person.press("escape")
    assert (person.bindings.reading, person.path) == (None, "/build")


def test_groups_and_pending_nodes_have_no_output(person: Person) -> None:
    assert person.press("j", "l") == "/ is a group; its Execs print"
    assert person.press("j", "enter") == "/build has not run"


def test_q_leaves_a_page_first_and_then_the_view(person: Person) -> None:
    person.press("?", "q")
    after_page = person.bindings.left

    person.press("q")

    assert (after_page, person.bindings.left) == (False, True)


def test_d_names_the_command_that_opens_a_shell(person: Person) -> None:
    assert person.press("j", "j", "d") == "leave, then:\nconducto debug abc-def /build"
