"""Conditions on results: the language, and the skips that it decides."""

from __future__ import annotations

from typing import Any

import pytest

from conducto.errors import DefinitionError
from conducto.wire import conditions
from conducto.wire.conditions import Part, to_condition
from conducto_core.run.model import events as ev
from conducto_core.run.model.states import State
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.rules.resolve import resolve, resolve_generated
from support.trees import Driver, approve, form, lazy, leaf, parallel, pipeline, serial

CHANGED = ["==", "/check", [], "changed"]


def holds(written: Any, result: Any) -> bool:
    condition = to_condition(written)
    return conditions.holds(condition, lambda part: conditions.member(result, part.keys))


@pytest.mark.parametrize(
    ("written", "result", "expected"),
    [
        (["==", "/a", [], "x"], "x", True),
        (["==", "/a", [], 1], True, False),
        (["==", "/a", [], 1], 1.0, True),
        (["!=", "/a", [], "x"], None, True),
        (["==", "/a", ["b", 0], 3], {"b": [3]}, True),
        (["==", "/a", ["b", 1], None], {"b": [3]}, True),
        (["==", "/a", ["b"], 3], [1], False),
        (["<", "/a", [], 3], 2, True),
        (["<", "/a", [], 3], "2", False),
        (["<", "/a", [], 3], True, False),
        ([">=", "/a", [], "b"], "c", True),
        (["in", "/a", [], ["x", 1]], 1, True),
        (["in", "/a", [], ["x", 1]], True, False),
        (["true", "/a", []], [], False),
        (["true", "/a", []], {"a": 1}, True),
        (["and", ["true", "/a", []], ["not", ["==", "/a", [], 2]]], 1, True),
        (["or", ["==", "/a", [], 1], ["==", "/a", [], 2]], 3, False),
    ],
)
def test_comparisons_follow_json(written: Any, result: Any, expected: bool) -> None:
    assert holds(written, result) is expected


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("result == 1", "must be a condition on results"),
        (["~", "/a", [], 1], "unknown comparison"),
        (["==", "/a", []], "unknown comparison"),
        (["==", "a", [], 1], "names 'a', which is not the path of a node"),
        (["==", "/a", [-1], 1], "must be at most 10 texts or whole numbers"),
        (["==", "/a", [], [1]], "possible are texts, numbers, True, False and None"),
        (["==", "/a", [], float("nan")], "which no result can be"),
        (["==", "/a", [], "x" * 1001], "a text of over 1,000 characters"),
        (["<", "/a", [], None], "compares numbers or texts, got None"),
        (["in", "/a", [], []], "needs a list of 1 to 100 values"),
        (["and"], "'and' has 0 conditions"),
        (["and", *[["true", "/a", []]] * 101], "more than 100 comparisons"),
    ],
)
def test_an_invalid_condition_is_refused(written: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        to_condition(written)


def test_a_deep_condition_is_refused() -> None:
    written: Any = ["true", "/a", []]
    for _ in range(30):
        written = ["not", written]

    with pytest.raises(ValueError, match="more than 20 levels"):
        to_condition(written)


def test_a_condition_is_shown_as_an_expression() -> None:
    written = ["and", ["==", "/a", ["b"], "x"], ["not", ["in", "//payload", [], [1, None]]]]

    text = conditions.text_of(to_condition(written))

    assert text == 'result(/a)["b"] == "x" and (not payload() in [1, null])'


def tree(**params: Any) -> Driver:
    return Driver(serial("check", leaf("deploy", run_if=CHANGED, **params), "after"))


def finish(driver: Driver, path: str, result: bytes) -> None:
    driver.start(path)
    driver.finish(path, known=driver.tree.known_of(path, lambda: result))


def test_a_node_runs_if_its_condition_holds() -> None:
    driver = tree()

    finish(driver, "/check", b'"changed"')

    assert driver.queued == {"/deploy": 1}


def test_a_node_is_skipped_if_its_condition_does_not_hold() -> None:
    driver = tree()

    finish(driver, "/check", b'"same"')

    assert driver.queued == {"/after": 1}
    assert driver.tree.nodes["/deploy"].condition == "false"
    driver.run()
    assert driver.state() is State.DONE


def test_a_group_is_skipped_as_a_whole() -> None:
    driver = Driver(serial("check", parallel("a", "b", name="deploy", run_if=CHANGED), "after"))

    finish(driver, "/check", b"null")

    assert driver.queued == {"/after": 1}


def test_the_condition_is_decided_again_when_its_source_runs_again() -> None:
    driver = tree()
    finish(driver, "/check", b'"same"')
    driver.run()

    driver.send(ev.NodesReset(("/check",)))
    assert not driver.tree.nodes["/deploy"].skipped
    finish(driver, "/check", b'"changed"')

    assert driver.queued == {"/deploy": 1}


def test_a_users_skip_outlasts_a_new_result() -> None:
    driver = tree()
    driver.send(ev.NodesSkipped(("/deploy",)))

    finish(driver, "/check", b'"changed"')

    assert driver.queued == {"/after": 1}
    assert driver.tree.nodes["/deploy"].condition is None


def test_a_user_may_run_a_node_that_its_condition_skipped() -> None:
    driver = tree()
    finish(driver, "/check", b'"same"')

    driver.send(ev.NodesUnskipped(("/deploy",)))

    assert "/deploy" in driver.queued


def test_a_skipped_source_has_no_result() -> None:
    driver = tree()

    driver.send(ev.NodesSkipped(("/check",)))

    assert driver.queued == {"/after": 1}


def test_the_state_of_conditions_is_kept() -> None:
    driver = tree()
    finish(driver, "/check", b'"same"')

    kept = [driver.tree.state_of(node) for node in driver.tree.nodes.values()]
    again = TreeState(driver.pipeline, kept)

    assert again.nodes["/deploy"].condition == "false"
    assert again.compared(Part("/check")) == "same"


def test_the_form_of_an_approval_decides() -> None:
    form_ = {"region": ["eu", "us"]}
    driver = Driver(
        serial(
            approve("ask", fields=form_),
            leaf("us", run_if=["==", "/ask", ["region"], "us"]),
            leaf("eu", run_if=["==", "/ask", ["region"], "eu"]),
        )
    )

    driver.send(ev.AttemptFinished("/ask", 1, None, known={"region": "eu"}))

    assert driver.queued == {"/eu": 1}


def test_the_payload_of_an_event_decides() -> None:
    root = form(serial(leaf("main", run_if=["==", "//payload", ["branch"], "main"]), "other"))

    driver = Driver(resolve({**root, "payload": {"branch": "feature"}}))

    assert driver.queued == {"/other": 1}


@pytest.mark.parametrize(
    ("root", "said"),
    [
        (serial("a", leaf("b", run_if=["true", "/c", []])), "the tree has no such node"),
        (parallel("a", leaf("b", run_if=["true", "/a", []])), "is a Parallel"),
        (serial(leaf("a", run_if=["true", "/b", []]), "b"), "comes after it"),
        (serial("a", leaf("b", run_if=["true", "/", []])), "is a Serial"),
        (
            serial("a", leaf("b", run_if=["true", "/a", []]), leaf("c", results=["/b"])),
            "may be skipped: /b has run_if",
        ),
        (serial(approve("a"), leaf("b", run_if=["true", "/a", []])), "an approval without a form"),
        (
            serial(approve("a", fields={"x": str}), leaf("b", run_if=["true", "/a", ["y"]])),
            "the fields of the approval are x",
        ),
    ],
)
def test_a_condition_on_a_result_that_may_not_exist_is_refused(
    root: dict[str, Any], said: str
) -> None:
    with pytest.raises(DefinitionError, match=said):
        pipeline(root)


def test_a_generated_tree_compares_its_own_results() -> None:
    driver = Driver(serial("check", lazy("more")))
    finish(driver, "/check", b"1")
    driver.start("/more/Generate")
    made = serial("check", leaf("deploy", run_if=CHANGED))
    nodes = resolve_at(driver, made)

    driver.generate("/more/Generate", nodes)
    finish(driver, "/more/Execute/check", b'"same"')

    assert driver.state() is State.DONE
    assert driver.tree.nodes["/more/Execute/deploy"].condition == "false"


def resolve_at(driver: Driver, made: dict[str, Any]) -> dict[str, Any]:
    return dict(resolve_generated(form(made), "/more/Execute", driver.pipeline).nodes)


def test_a_generated_tree_cannot_compare_results_around_it() -> None:
    driver = Driver(serial("check", lazy("more")))

    with pytest.raises(DefinitionError, match="only results of the generated tree"):
        resolve_at(driver, serial(leaf("deploy", run_if=CHANGED)))
