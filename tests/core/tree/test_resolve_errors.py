"""Errors in a tree are reported before anything runs: place, cause and remedy."""

import copy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conducto.errors import DefinitionError
from conducto_core.tree.model import Pipeline
from conducto_core.tree.rules.checks import Limits
from conducto_core.tree.rules.resolve import resolve, resolve_generated
from conducto_local.run.admission import check_nodes
from support.laws import law
from support.trees import form, lazy, leaf, parallel, serial

IMAGES = {"i": {"image": "busybox"}}


def in_place(bad):
    """A tree in which one node, /p/x, is wrong."""
    return form(serial("a", parallel("b", bad, name="p")))


def wrong(definition):
    with pytest.raises(DefinitionError) as raised:
        resolve(definition)
    return raised.value


VALUES = [
    pytest.param({"cpu": 0}, "cpu must be above 0, got 0", id="cpu"),
    pytest.param({"cpu": "2"}, "cpu must be a number above 0, got '2'", id="cpu as text"),
    pytest.param({"mem": -1}, "mem must be above 0, got -1", id="mem"),
    pytest.param({"gpu": 17}, "gpu must be a whole number from 0 to 16, got 17", id="gpu"),
    pytest.param({"max_time": "1 h"}, "max_time is an invalid duration: '1 h'; write", id="time"),
    pytest.param({"max_time": 0}, "max_time must be above 0, got 0", id="no time"),
    pytest.param(
        {"max_concurrent": 1},
        "max_concurrent is for a Serial or a Parallel, not for an Exec",
        id="max_concurrent on an Exec",
    ),
    pytest.param(
        {"container_reuse_context": "old"},
        "container_reuse_context must be ContainerReuseContext.NEW or .GLOBAL, got 'old'",
        id="reuse context",
    ),
    pytest.param(
        {"docker_run_args": ["--cpus=1"]},
        "docker_run_args cannot specify any of --cpus, --memory, --network, got --cpus=1; set",
        id="docker_run_args",
    ),
    pytest.param(
        {"docker_run_args": "-v"},
        "docker_run_args must be a list of texts, got '-v'",
        id="docker_run_args as text",
    ),
    pytest.param(
        {"docker_run_args": [1]},
        "docker_run_args must be a list of texts, got [1]",
        id="docker_run_args of numbers",
    ),
    pytest.param({"__env__A": 1}, "has int in env value for A when str is required", id="env"),
    pytest.param({"__env__A-B": "1"}, "env name 'A-B' is not an identifier", id="env name"),
    pytest.param(
        {"image_name": "nowhere"},
        "image_name='nowhere' names no image of this tree (there are: i)",
        id="image",
    ),
    pytest.param({"command": ""}, "command is empty; write what to run", id="no command"),
    pytest.param({"command": None}, "command must be text or a function, got None", id="None"),
    pytest.param({"command": "a\0"}, "command holds a NUL character", id="NUL in a command"),
    pytest.param({"type": "Loop"}, "unknown node type 'Loop'", id="type"),
    pytest.param({"type": None}, "unknown node type None", id="no type"),
]


@pytest.mark.parametrize(("params", "message"), VALUES)
def test_invalid_value_is_reported_with_the_path_of_its_node(params, message):
    error = wrong(in_place(leaf("x", **params)))

    assert str(error).startswith(f"/p/x: {message}")
    assert error.path == "/p/x"


def test_all_problems_of_a_tree_are_reported_at_once():
    tree = serial(leaf("a", cpu=0), parallel(leaf("b", mem=-1), leaf("c"), name="p", gpu=99))

    error = wrong(form(tree))

    assert [line.partition(" must")[0] for line in str(error).split("\n")] == [
        "the tree has 3 problems:",
        "/a: cpu",
        "/p: gpu",
        "/p/b: mem",
    ]
    assert error.path == "/a"


def test_sizes_that_never_fit_are_rejected_at_once():
    nodes = resolve(form(serial(leaf("a", cpu=64, mem=512), leaf("b"), leaf("c", gpu=1)))).nodes

    with pytest.raises(DefinitionError) as raised:
        check_nodes(nodes, Limits(cpu=8, mem=16, gpu=0))

    assert [line.partition("=")[0] for line in str(raised.value).split("\n")] == [
        "the tree has 3 problems:",
        "/a: cpu",
        "/a: mem",
        "/c: gpu",
    ]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        pytest.param(
            parallel("c", name="x", max_concurrent=0),
            "max_concurrent must be a whole number of at least 1, got 0",
            id="no room",
        ),
        pytest.param(parallel("c", "c", name="x"), "two children are called 'c'", id="twice"),
        pytest.param(
            parallel("a/b", name="x"),
            "a child's name may not be empty or hold '/' or NUL, got 'a/b'",
            id="a slash in a name",
        ),
        pytest.param(
            {**leaf("x"), "children": [("c", leaf())]},
            "an Exec cannot have children; use a Serial or a Parallel",
            id="an Exec with children",
        ),
    ],
)
def test_invalid_group_is_reported_with_its_path(group, message):
    assert str(wrong(in_place(group))).startswith(f"/p/x: {message}")


@pytest.mark.parametrize("name", ["", "a\0b", None])
def test_a_child_needs_a_name_that_can_stand_in_a_path(name):
    definition = form(serial("a"))
    definition["edges"][0][2] = name

    error = wrong(definition)

    assert str(error) == f"/: a child's name may not be empty or hold '/' or NUL, got {name!r}"


def test_exec_without_an_image_names_the_places_to_set_one():
    definition = form(serial("a"), IMAGES)

    assert str(wrong(definition)) == "/a: no image; set image= here or on a parent"


CALLBACKS = [
    pytest.param(
        ["error", ["retry", {}]],
        "callback retry: max_num_retries must be a whole number from 0 up, got None",
        id="a retry that does not say how often",
    ),
    pytest.param(
        ["error", ["retry_then_skip", {"max_num_retries": -1}]],
        "callback retry_then_skip: max_num_retries must be a whole number from 0 up, got -1",
        id="less than none",
    ),
    pytest.param(
        ["error", ["retry_with_double_mem", {"max_num_retries": "3"}]],
        "callback retry_with_double_mem: max_num_retries must be a whole number from 0 up, got '3'",
        id="a number as text",
    ),
    pytest.param(
        ["error", ["skip_some_errors", {"max_num_errors": True}]],
        "callback skip_some_errors: max_num_errors must be a whole number from 0 up, got True",
        id="a bool",
    ),
    pytest.param(
        ["error", ["handle_memory_errors", {"mem_limits": 8}]],
        "callback handle_memory_errors: mem_limits must be numbers above 0, got 8",
        id="one limit instead of a list",
    ),
    pytest.param(
        ["error", ["handle_memory_errors", {"mem_limits": [8, "32"]}]],
        "callback handle_memory_errors: mem_limits must be numbers above 0, got [8, '32']",
        id="a limit as text",
    ),
    pytest.param(
        ["error", ["handle_memory_errors", {"max_duration": 0}]],
        "callback handle_memory_errors: max_duration must be above 0, got 0",
        id="no duration",
    ),
    pytest.param(
        "retry", "a callback must be [event, [name, {argument: value}]], got 'retry'", id="a text"
    ),
    pytest.param(
        ["error", ["retry", None]],
        "a callback must be [event, [name, {argument: value}]], got ['error', ['retry', None]]",
        id="no arguments",
    ),
    pytest.param(
        [3, ["retry", {}]],
        "a callback must be [event, [name, {argument: value}]], got [3, ['retry', {}]]",
        id="no event",
    ),
]


@pytest.mark.parametrize(("callback", "message"), CALLBACKS)
def test_a_callback_that_could_not_decide_is_refused(callback, message):
    assert str(wrong(in_place(leaf("x", callbacks=[callback])))) == f"/p/x: {message}"


@pytest.mark.parametrize(
    "callback",
    [
        ["error", ["retry", {"max_num_retries": 0}]],
        ["error", ["handle_memory_errors", {}]],
        ["error", ["handle_memory_errors", {"mem_limits": [8, 0.5], "max_duration": 1.5}]],
        ["done", ["unheard_of", {"anything": [None]}]],
        ["done", ["unheard_of", {}, "more"]],
    ],
)
def test_deciding_and_notifying_callbacks_are_accepted(callback):
    resolve(in_place(leaf("x", callbacks=[callback])))


# ---- shape --------------------------------------------------------------------------------------

EXEC = {"type": "Exec", "command": "true"}
GROUP = {"type": "Serial", "image_name": "i"}


def definition(nodes, edges):
    made = [{"id": node_id, **node} for node_id, node in nodes]
    return {"nodes": made, "edges": edges, "images": IMAGES}


SHAPES = [
    pytest.param(
        definition([("r", GROUP), ("s", GROUP)], [["r", "s", "s"], ["s", "r", "again"]]),
        "/s/again: the tree has a cycle, or a node with two parents",
        id="a cycle",
    ),
    pytest.param(
        definition([("r", GROUP)], [["r", "r", "me"]]),
        "/me: the tree has a cycle, or a node with two parents",
        id="a node under itself",
    ),
    pytest.param(
        definition([("r", GROUP), ("x", EXEC)], [["r", "x", "a"], ["r", "x", "b"]]),
        "/b: the tree has a cycle, or a node with two parents",
        id="a node in two places",
    ),
    pytest.param(
        definition([("r", GROUP), ("x", EXEC), ("y", EXEC)], [["r", "x", "a"], ["r", "x", "b"]]),
        "/b: the tree has a cycle, or a node with two parents",
        id="a node in two places and another in none",
    ),
    pytest.param(
        definition([("r", GROUP), ("x", EXEC)], []),
        "the tree has nodes that its root does not reach; give each one parent",
        id="a node in no place",
    ),
    pytest.param(
        definition([("r", GROUP)], [["r", "x", "a"]]),
        "/a: the serialised tree has no node 'x'",
        id="an edge to nowhere",
    ),
    pytest.param(
        definition([("r", GROUP), ("r", GROUP)], []),
        "not a serialised tree: two nodes have the same id",
        id="two nodes with one id",
    ),
    pytest.param([], "not a serialised tree: list", id="a list"),
    pytest.param(definition([], []), "not a serialised tree: IndexError", id="no nodes"),
    pytest.param({"edges": [], "images": {}}, "not a serialised tree: KeyError", id="a key less"),
    pytest.param(
        {"nodes": None, "edges": [], "images": {}}, "not a serialised tree: TypeError", id="null"
    ),
    pytest.param(
        {"nodes": [{"id": "r", **GROUP}], "edges": [["r"]], "images": IMAGES},
        "not a serialised tree: ValueError",
        id="half an edge",
    ),
]


@pytest.mark.parametrize(("broken", "message"), SHAPES)
def test_non_tree_is_rejected(broken, message):
    assert str(wrong(broken)).startswith(message)


LAZIES = [
    pytest.param(
        serial(leaf("Generate", callbacks=lazy()["children"][0][1]["callbacks"]), name="L"),
        "/L/Generate: no group /L/Execute is beside it to take the tree it prints; use co.Lazy",
        id="no target",
    ),
    pytest.param(
        serial(lazy()["children"][0][1], leaf("Execute"), name="L"),
        "/L/Generate: no group /L/Execute is beside it to take the tree it prints; use co.Lazy",
        id="an Exec as target",
    ),
    pytest.param(
        serial(
            lazy()["children"][0][1],
            {**lazy()["children"][0][1], "name": "Again"},
            parallel(name="Execute"),
            name="L",
        ),
        "/L/Again: prints a tree for /L/Execute, and so does /L/Generate; give each its own",
        id="one target for two",
    ),
    pytest.param(
        serial(parallel(name="Execute"), lazy()["children"][0][1], name="L"),
        "/L/Generate: comes after /L/Execute in a Serial, which waits for the tree it prints; "
        "put it before",
        id="a target that comes first",
    ),
]


@pytest.mark.parametrize(("broken", "message"), LAZIES)
def test_a_lazy_needs_a_target_of_its_own(broken, message):
    assert str(wrong(form(serial(broken)))).startswith(message)


# ---- contexts and sizes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "told"),
    [
        pytest.param({"image_name": "j"}, "image='j' differs from image='i'", id="image"),
        pytest.param({"gpu": 1}, "gpu=1 differs from gpu=0", id="gpu"),
        pytest.param(
            {"requires_docker": True},
            "requires_docker=True differs from requires_docker=False",
            id="requires_docker",
        ),
        pytest.param(
            {"docker_run_args": ["-t"]},
            "docker_run_args=('-t',) differs from docker_run_args=()",
            id="docker_run_args",
        ),
    ],
)
def test_execs_of_one_container_must_agree_on_it(params, told):
    tree = serial("a", leaf("b", **params), image_name="i", container_reuse_context="new")

    error = wrong(form(tree, {**IMAGES, "j": {"image": "debian"}}))

    assert str(error) == (
        f"/b: {told} of /a, but both share the container of / (container_reuse_context=NEW); "
        "make them equal, or set container_reuse_context=GLOBAL or NEW here"
    )


def test_execs_of_one_container_may_differ_in_size_and_env():
    tree = serial("a", leaf("b", cpu=2, mem=4, __env__A="1"), container_reuse_context="new")

    assert len(resolve(form(tree)).nodes) == 3


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"cpu": 4.5}, "/p/x: cpu=4.5 can never fit: this machine has 4 CPUs; lower cpu"),
        ({"mem": 9}, "/p/x: mem=9 can never fit: this machine has 8 GB; lower mem"),
        ({"gpu": 2}, "/p/x: gpu=2 can never fit: this machine has 1 GPUs; lower gpu"),
    ],
)
def test_a_size_that_can_never_fit_is_refused(params, message):
    nodes = resolve(in_place(leaf("x", **params))).nodes

    with pytest.raises(DefinitionError, match="^" + re.escape(message) + "$"):
        check_nodes(nodes, Limits(cpu=4, mem=8, gpu=1))


# ---- images -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "message"),
    [
        pytest.param(
            {},
            "must specify exactly one of image, dockerfile and dockerfile_text, got none",
            id="nothing",
        ),
        pytest.param(
            {"image": "a", "dockerfile": "/b"},
            "must specify exactly one of image, dockerfile and dockerfile_text, "
            "got image and dockerfile",
            id="two bases",
        ),
        pytest.param(
            {"image": "a", "copy_dir": "/b", "copy_url": "c"},
            "must not specify copy_dir and copy_url together",
            id="two sources of code",
        ),
    ],
)
def test_invalid_image_is_reported_by_its_name(image, message):
    error = wrong(form(serial("a"), {"i": image}))

    assert str(error) == f"image 'i': {message}"


@pytest.mark.parametrize("image", ["busybox", 3, None, {"image": 3}, {"image": "a", "path_map": 3}])
def test_non_image_is_reported_by_its_name(image):
    assert str(wrong(form(serial("a"), {"i": image}))).startswith("image 'i': ")


# ---- arbitrary input from other programs --------------------------------------------------------

WHOLE = form(
    serial(
        leaf("a", cpu=1, max_time="5s", __env__A="1", tags=["t"], docker_run_args=["-t"]),
        parallel(lazy("L"), name="p", max_concurrent=2, callbacks=[["done", ["email", {}]]]),
        container_reuse_context="global",
    )
)
JUNK = st.sampled_from([None, True, 0, -1, 10**400, 1.5, "", "x", [], [1], [[]], {}, {"a": 1}])


def places(value, at=()):
    """Yield the way to every value inside of a JSON value, itself excluded."""
    inner = {}
    if isinstance(value, dict):
        inner = value
    elif isinstance(value, (list, tuple)):
        inner = dict(enumerate(value))
    for key, below in inner.items():
        yield (*at, key)
        yield from places(below, (*at, key))


def spoiled(way, junk):
    broken = copy.deepcopy(WHOLE)
    inside = broken
    for key in way[:-1]:
        inside = inside[key]
    inside[way[-1]] = junk
    return broken


def attempted(act):
    try:
        return act()
    except DefinitionError as error:
        return str(error)


@law(300)
@given(st.sampled_from(sorted(places(WHOLE), key=str)), JUNK)
def test_tree_with_any_corrupted_value_is_resolved_or_rejected(way, junk):
    response = attempted(lambda: resolve(spoiled(way, junk)))

    assert isinstance(response, Pipeline) or response


@law(150)
@given(st.sampled_from(sorted(places(WHOLE), key=str)), JUNK)
def test_generated_tree_with_any_corrupted_value_is_resolved_or_rejected(way, junk):
    here = resolve(form(lazy()))

    response = attempted(lambda: resolve_generated(spoiled(way, junk), "/Execute", here))

    assert isinstance(response, Pipeline) or response


@pytest.mark.parametrize(
    "name", ["skip", "suppress_errors", "requires_docker", "snapshot_on_error"]
)
def test_text_in_place_of_a_bool_is_refused(name):
    for value in ("False", "no", "", 2):
        with pytest.raises(DefinitionError, match=rf"^/a: {name} must be True or False, got"):
            resolve(form(serial(leaf("a", **{name: value}))))


def test_text_of_stop_on_error_is_true_as_for_the_original():
    assert resolve(form(serial("a", stop_on_error="False"))).root.stop_on_error is True
    with pytest.raises(DefinitionError, match=r"^/: stop_on_error must be True or False, got 2"):
        resolve(form(serial("a", stop_on_error=2)))
