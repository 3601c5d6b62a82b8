"""Approvals: nodes that wait for a person."""

from dataclasses import replace

import pytest

from conducto.errors import DefinitionError
from conducto_core.approvals.rules import bypassed, may_decide
from conducto_core.people.model import Role
from conducto_core.run.model import events as ev
from conducto_core.run.model.records import Actor
from conducto_core.run.model.requests import Action, Changes, ControlRequest
from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.actions import events_of, events_of_modify
from conducto_core.tree.model import Approval
from conducto_core.tree.rules.resolve import resolve
from support.trees import Driver, approve, form, leaf, parallel, serial

BEN = Actor(user="ben")


@pytest.fixture
def waiting() -> Driver:
    """A Serial whose approval is asked."""
    driver = Driver(serial("test", approve("ask", max_time=60), "release"))
    driver.run()
    return driver


def test_an_approval_waits_without_a_place_in_the_queue(waiting):
    assert waiting.asking == {"/ask": 1}
    assert waiting.queued == {}
    assert waiting.state() is State.RUNNING
    assert waiting.timers == {"/ask": 60}


def test_the_pipeline_continues_after_an_approval(waiting):
    waiting.decide("/ask")
    waiting.run()

    assert waiting.started == ["/test", "/release"]
    assert waiting.state() is State.DONE
    assert waiting.timers == {}


def test_a_rejection_fails_with_its_own_cause(waiting):
    waiting.decide("/ask", approve=False)

    assert waiting.history[-1] == ("/ask", 1, State.ERROR, Cause.REJECTED)
    assert waiting.states() == {
        "/": "error",
        "/test": "done",
        "/ask": "error",
        "/release": "pending",
    }


def test_a_timeout_fails_with_its_own_cause(waiting):
    waiting.send(ev.TimeLimitReached("/ask"))

    assert waiting.history[-1] == ("/ask", 1, State.KILLED, Cause.APPROVAL_TIMEOUT)
    assert waiting.timers == {}


@pytest.mark.parametrize("cause", [Cause.REJECTED, Cause.APPROVAL_TIMEOUT])
def test_no_callback_asks_again_after_a_decision(cause):
    retry = [["error", ["retry", {"max_num_retries": 3}]]]
    driver = Driver(serial(approve("ask", callbacks=retry)))

    driver.send(ev.AttemptFinished("/ask", 1, cause))

    assert driver.asking == {}
    assert driver.tree.nodes["/ask"].cause is cause


def test_a_rejection_is_suppressed_like_an_error():
    driver = Driver(serial(approve("ask", suppress_errors=True), "release"))

    driver.decide("/ask", approve=False)
    driver.run()

    assert driver.state() is State.DONE


def test_a_skip_ends_the_wait(waiting):
    waiting.send(ev.NodesSkipped(("/ask",)))
    waiting.run()

    assert waiting.asking == {}
    assert waiting.timers == {}
    assert waiting.started == ["/test", "/release"]


def test_a_pause_takes_the_question_back_and_a_run_asks_again(waiting):
    waiting.send(ev.Disarmed())
    assert waiting.asking == {}
    assert waiting.timers == {}

    waiting.send(ev.Armed())

    assert waiting.asking == {"/ask": 2}
    assert waiting.history[-1] == ("/ask", 1, State.KILLED, Cause.KILLED_BY_USER)


def test_a_kill_ends_the_wait(waiting):
    waiting.send(ev.NodesKilled(("/",)))

    assert waiting.history[-1] == ("/ask", 1, State.KILLED, Cause.KILLED_BY_USER)
    assert waiting.timers == {}


def test_a_reset_of_a_decided_approval_asks_again(waiting):
    waiting.decide("/ask", approve=False)

    waiting.send(ev.NodesReset(("/ask",)))

    assert waiting.asking == {"/ask": 2}


def test_the_time_limit_of_a_group_ends_the_wait():
    driver = Driver(serial(approve("ask"), max_time=5))

    driver.send(ev.TimeLimitReached("/"))

    assert driver.asking == {}
    assert driver.state() is State.KILLED


def test_an_approval_does_not_inherit_a_time_limit():
    resolved = resolve(form(serial(approve("ask"), leaf("a"), max_time=7)))

    assert resolved.nodes["/ask"].max_time is None
    assert resolved.nodes["/a"].max_time == 7


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (
            serial(serial(approve("ask"), name="g"), container_reuse_context="new"),
            "/g/ask: an approval cannot be inside / with container_reuse_context=NEW",
        ),
        (
            serial(parallel(approve("a", container_reuse_context="global"), name="g"), "b")
            | {"container_reuse_context": "new"},
            "/g/a: an approval cannot be inside /",
        ),
        (serial(approve("a", container_reuse_context="new")), "cannot be inside /a"),
        (serial(approve("a", command="true")), "/a: an approval runs no command"),
        (serial(leaf("a", approval={"message": " "}, command="")), "/a: message is empty"),
        (serial(leaf("a", approval="yes?", command="")), "/a: approval must have a message"),
        (serial(approve("a", who=[3])), "/a: who must be text"),
        (serial(approve("a", who=["viewer"])), "/a: the role 'viewer' decides nothing"),
        (serial(approve("a", max_time="soon")), "/a: max_time"),
        (parallel("b", approval={"message": "m"}), "/: an approval has no children"),
    ],
)
def test_an_invalid_approval_is_refused(tree, said):
    with pytest.raises(DefinitionError, match=said.replace("(", r"\(").replace("?", r"\?")):
        resolve(form(tree))


@pytest.mark.parametrize(
    ("who", "user", "role", "may"),
    [
        ((), "anna", Role.MEMBER, True),
        ((), "anna", Role.VIEWER, False),
        (("admin",), "anna", Role.MEMBER, False),
        (("admin",), "anna", Role.ADMIN, True),
        (("admin",), "anna", Role.OWNER, True),
        (("owner",), "anna", Role.ADMIN, False),
        (("anna",), "anna", Role.MEMBER, True),
        (("anna",), "anna", Role.VIEWER, False),
        (("anna",), "ben", Role.OWNER, False),
        ((), "anna", None, False),
        (("anna",), "anna", None, False),
        (("ben", "member"), "anna", Role.MEMBER, True),
    ],
)
def test_roles_and_user_ids_decide(who, user, role, may):
    assert may_decide(Approval("Release?", who), user, role) is may


def test_reset_of_everything_withdraws_the_question_until_it_is_its_turn_again(waiting):
    waiting.send(ev.NodesReset(("/",)))

    assert waiting.asking == {}
    waiting.run()
    assert waiting.asking == {"/ask": 2}


def guarded() -> Driver:
    """A tree of which one approval waits, with work before, after and beside it."""
    tree = serial(
        "before",
        parallel(
            serial(approve("ask"), "inner", name="guarded"),
            serial("other", name="beside"),
            name="group",
        ),
        serial("deploy", "done", name="after"),
    )
    driver = Driver(tree)
    driver.start("/before")
    driver.finish("/before")
    assert driver.asking == {"/group/guarded/ask": 1}
    return driver


@pytest.mark.parametrize(
    ("action", "path", "changes", "found"),
    [
        (Action.SKIP, "/group/guarded/ask", {}, True),
        (Action.SKIP, "/group/guarded", {}, True),
        (Action.SKIP, "/", {}, True),
        (Action.SKIP, "/after/deploy", {}, False),
        (Action.SKIP, "/group/beside", {}, False),
        (Action.UNSKIP, "/", {}, False),
        (Action.KILL, "/group/guarded/ask", {}, True),
        (Action.KILL, "/", {}, True),
        (Action.KILL, "/group/beside", {}, False),
        (Action.MODIFY, "/group/guarded/ask", {"doc": "x"}, True),
        (Action.MODIFY, "/group/guarded/ask", {"suppress_errors": True}, True),
        (Action.MODIFY, "/group", {"suppress_errors": True}, True),
        (Action.MODIFY, "/", {"stop_on_error": False}, True),
        (Action.MODIFY, "/", {"max_time": "1s"}, True),
        (Action.MODIFY, "/", {"env": {"A": "1"}}, False),
        (Action.MODIFY, "/after", {"stop_on_error": False}, False),
        (Action.RESET, "/", {}, False),
        (Action.REBUILD, "/", {}, False),
    ],
)
def test_action_that_leads_around_an_approval_is_found(action, path, changes, found):
    request = ControlRequest(
        action=action,
        paths=("/before", path),
        changes=Changes.model_validate(changes) if changes else None,
    )

    around = [at for at, _ in bypassed(guarded().tree, request)]

    assert around == (["/group/guarded/ask"] if found else [])


def test_approval_that_does_not_wait_yet_is_not_skipped_either_but_a_kill_ends_no_wait():
    tree = Driver(serial("test", approve("ask"))).tree

    skip, kill = (
        [at for at, _ in bypassed(tree, ControlRequest(action=action, paths=("/",)))]
        for action in (Action.SKIP, Action.KILL)
    )

    assert (skip, kill) == (["/ask"], [])


@pytest.mark.parametrize(
    ("action", "path", "again"),
    [
        (Action.SKIP, "/after/deploy", True),
        (Action.SKIP, "/after", True),
        (Action.SKIP, "/group/guarded/inner", True),
        (Action.SKIP, "/group/beside/other", False),
        (Action.SKIP, "/before", True),
        (Action.UNSKIP, "/after/deploy", False),  # it is not skipped
        (Action.RESET, "/after/deploy", False),  # it has not run
        (Action.RESET, "/before", True),
        (Action.REBUILD, "/group/beside", True),  # nodes after the approval use the same image
    ],
)
def test_change_before_or_after_a_waiting_approval_asks_again(action, path, again):
    driver = guarded()

    for event in events_of(driver.tree, action, (path,), BEN):
        driver.send(event)
    if path == "/before" and action is Action.RESET:
        assert driver.asking == {}  # it is not its turn
    driver.run()

    assert driver.asking == {"/group/guarded/ask": 2 if again else 1}
    ends = [one for one in driver.commands if isinstance(one, ev.EndAttempt)]
    notes = [one.note or "" for one in ends if one.path == "/group/guarded/ask"]
    assert len(notes) == again
    assert all(note.startswith("withdrawn after a change: ben ") for note in notes)
    assert all(note.endswith(path) for note in notes)


def test_unskip_and_reset_after_a_waiting_approval_ask_again():
    driver = guarded()
    driver.send(ev.NodesSkipped(("/after/deploy",)))

    for event in events_of(driver.tree, Action.UNSKIP, ("/after/deploy",), BEN):
        driver.send(event)
    assert driver.asking == {"/group/guarded/ask": 2}

    driver = guarded()
    driver.decide("/group/guarded/ask")
    driver.run()
    driver.send(ev.NodesReset(("/group/guarded/ask",)))
    assert driver.asking == {"/group/guarded/ask": 2}
    for event in events_of(driver.tree, Action.RESET, ("/after",), BEN):
        driver.send(event)
    assert driver.asking == {"/group/guarded/ask": 3}


@pytest.mark.parametrize(
    ("path", "again"),
    [("/after/deploy", True), ("/group/beside/other", False), ("/group/guarded/ask", True)],
)
def test_modification_after_a_waiting_approval_asks_again_once(path, again):
    driver = guarded()
    spec = replace(driver.tree.nodes[path].spec, env={"TARGET": "evil"})
    modified = ev.NodesModified({path: spec})

    for event in events_of_modify(driver.tree, modified, (path,), BEN):
        driver.send(event)

    assert driver.asking == {"/group/guarded/ask": 2 if again else 1}
