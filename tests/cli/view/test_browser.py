"""A cursor over a large tree."""

from conducto_cli.view.key_bindings import Browser
from conducto_cli.view.model import PipelineModel
from conducto_core.run.model.states import State
from support.cli_trees import small_tree, summary, view, wide_tree


def model_of(nodes: list) -> PipelineModel:
    model = PipelineModel(summary())
    model.add(nodes)
    return model


def at(model: PipelineModel, path: str) -> Browser:
    browser = Browser()
    browser.go(model.rows[path])
    return browser


def test_without_a_cursor_nothing_is_shown() -> None:
    assert Browser().window(model_of(small_tree()), 10) == []


def test_the_window_is_around_the_cursor() -> None:
    model = model_of(wide_tree(1000))

    rows = at(model, "/all/n500").window(model, 5)

    assert [row.path for row in rows] == [f"/all/n{n}" for n in (498, 499, 500, 501, 502)]


def test_at_the_ends_the_window_is_full() -> None:
    model = model_of(wide_tree(100))

    last = at(model, "/all/n99").window(model, 4)
    first = at(model, "/").window(model, 4)

    assert [row.path for row in last] == ["/all/n96", "/all/n97", "/all/n98", "/all/n99"]
    assert [row.path for row in first] == ["/", "/all"]


def test_groups_above_the_cursor_are_open() -> None:
    model = model_of(small_tree())

    browser = at(model, "/tests/login")

    assert browser.is_open(model.rows["/tests"])


def test_folded_group_hides_its_children() -> None:
    group = view("/g", "Parallel", state=State.RUNNING)
    model = model_of([view("/", "Serial"), group, view("/g/a"), view("/z")])
    browser = at(model, "/g")
    before = [row.path for row in browser.window(model, 9)]

    browser.fold(model.rows["/g"], opened=False)

    assert before == ["/", "/g", "/g/a", "/z"]
    assert [row.path for row in browser.window(model, 9)] == ["/", "/g", "/z"]


def test_cursor_moves_to_the_node_above_a_deleted_node() -> None:
    model = model_of(small_tree())
    browser = at(model, "/tests/login")

    del model.rows["/tests/login"]

    row = browser.row(model)
    assert row is not None
    assert row.path == "/tests"
