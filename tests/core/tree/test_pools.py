"""Execs that share a container have the same pool key."""

import pytest

from conducto_core.tree.rules.callbacks import (
    SHARED,
    PoolKind,
    kind_of,
    owner_of,
    pool_below,
    pool_of_exec,
)
from support.trees import leaf, parallel, pipeline, serial

OUTER = pool_below("/outer", "new", SHARED)


@pytest.mark.parametrize(
    ("written", "above", "pool"),
    [
        pytest.param(None, SHARED, SHARED, id="nothing in the default pool"),
        pytest.param(None, OUTER, OUTER, id="nothing in a context"),
        pytest.param("global", SHARED, SHARED, id="global in the default pool"),
        pytest.param("global", OUTER, SHARED, id="global in a context"),
        pytest.param("new", SHARED, "context:/g", id="new in the default pool"),
        pytest.param("new", OUTER, "context:/g", id="new in a context is another one"),
    ],
)
def test_group_sets_the_pool_of_its_children(written, above, pool):
    assert pool_below("/g", written, above) == pool


@pytest.mark.parametrize(
    ("written", "around", "pool"),
    [
        pytest.param(None, SHARED, SHARED, id="nothing in the default pool"),
        pytest.param(None, OUTER, OUTER, id="nothing in a context"),
        pytest.param("global", SHARED, SHARED, id="global in the default pool"),
        pytest.param("global", OUTER, SHARED, id="global in a context"),
        pytest.param("new", SHARED, "once:/x", id="new in the default pool isolates it"),
        pytest.param("new", OUTER, "once:/x", id="new in a context isolates it as well"),
    ],
)
def test_the_pool_of_an_exec(written, around, pool):
    assert pool_of_exec("/x", written, around) == pool


@pytest.mark.parametrize(
    ("pool", "kind", "owner"),
    [
        pytest.param(SHARED, PoolKind.MANY, None, id="the default pool belongs to nobody"),
        pytest.param("context:/a/b", PoolKind.CONTEXT, "/a/b", id="a context to its group"),
        pytest.param("once:/a", PoolKind.ONCE, "/a", id="a fresh container to its Exec"),
        pytest.param("context:/a:b", PoolKind.CONTEXT, "/a:b", id="a colon in a name"),
        pytest.param("context:/", PoolKind.CONTEXT, "/", id="the root"),
        pytest.param("once:/context:", PoolKind.ONCE, "/context:", id="a misleading name"),
    ],
)
def test_pool_name_encodes_its_kind_and_owner(pool, kind, owner):
    assert (kind_of(pool), owner_of(pool)) == (kind, owner)


def pools(tree):
    return {node.path: node.pool for node in pipeline(tree).execs()}


NEW, GLOBAL = {"container_reuse_context": "new"}, {"container_reuse_context": "global"}


def test_all_nodes_share_the_default_pool_by_default():
    assert pools(serial("a", parallel("b", name="p"))) == {"/a": SHARED, "/p/b": SHARED}


def test_new_on_a_group_reaches_down_to_every_exec():
    tree = serial("a", parallel("b", serial("c", name="s"), name="p", **NEW))

    assert pools(tree) == {"/a": SHARED, "/p/b": "context:/p", "/p/s/c": "context:/p"}


def test_global_leads_back_to_the_default_pool_and_nothing_below_it_is_reached():
    tree = serial("a", parallel("b", serial("c", name="s", **GLOBAL), name="p"), **NEW)

    assert pools(tree) == {"/a": "context:/", "/p/b": "context:/", "/p/s/c": SHARED}


def test_nested_new_context_has_its_own_container_beside_the_outer_one():
    tree = serial("a", serial("b", name="in", **NEW), "c", **NEW)

    assert pools(tree) == {"/a": "context:/", "/in/b": "context:/in", "/c": "context:/"}


def test_new_below_global_below_new():
    inner = parallel("c", leaf("d", **GLOBAL), name="inner", **NEW)
    tree = serial("a", serial("b", inner, name="out", **GLOBAL), **NEW)

    assert pools(tree) == {
        "/a": "context:/",
        "/out/b": SHARED,
        "/out/inner/c": "context:/out/inner",
        "/out/inner/d": SHARED,
    }


def test_new_on_an_exec_isolates_it_from_its_context():
    tree = serial("a", leaf("b", **NEW), "c", **NEW)

    assert pools(tree) == {"/a": "context:/", "/b": "once:/b", "/c": "context:/"}


def test_two_contexts_beside_each_other_are_two_containers():
    tree = parallel(serial("x", name="a", **NEW), serial("x", name="b", **NEW))

    assert pools(tree) == {"/a/x": "context:/a", "/b/x": "context:/b"}
