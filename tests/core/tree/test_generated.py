"""A tree that a Lazy printed, in the place that the pipeline had for it."""

import pytest

from conducto.errors import DefinitionError
from conducto_core.run.model.states import NodeType
from conducto_core.tree.model import Callback, Pipeline
from conducto_core.tree.rules.resolve import resolve, resolve_generated
from support.trees import IMAGES, form, lazy, leaf, parallel, serial

TARGET = "/L/Execute"


def written(lazy_params=None, **params):
    """A pipeline with one Lazy, ``/L``, whose groups have these parameters."""
    group = {**lazy("L"), **(lazy_params or {})}
    return resolve(form(serial(group, **params)))


def generate(root, here=None, images=None):
    here = here or written()
    if images is None:
        root = {"image_name": "i", **root}
        images = IMAGES
    return resolve_generated(form(root, images), TARGET, here)


def test_nodes_are_placed_below_the_target():
    nodes = generate(serial("p", parallel("q", name="g"))).nodes

    assert list(nodes) == [TARGET, f"{TARGET}/p", f"{TARGET}/g", f"{TARGET}/g/q"]


@pytest.mark.parametrize("root", [serial("p"), parallel("p")], ids=["Serial", "Parallel"])
def test_the_target_takes_the_type_of_the_root(root):
    target = generate(root).nodes[TARGET]

    assert target.type.value == root["type"]
    assert not target.awaits_tree


def test_target_takes_the_parameters_of_the_root():
    root = serial(
        "p",
        doc="d",
        title="t",
        tags=["a"],
        stop_on_error=False,
        suppress_errors=True,
        max_concurrent=2,
        max_time=9,
        cpu=3,
    )

    target = generate(root).nodes[TARGET]

    assert (target.doc, target.title, target.tags) == ("d", "t", ("a",))
    assert (target.stop_on_error, target.suppress_errors) == (False, True)
    assert (target.max_concurrent, target.max_time, target.placement.cpu) == (2, 9.0, 3.0)


def test_a_root_that_is_an_exec_becomes_the_one_child_of_the_target():
    nodes = generate(leaf(command="echo", max_time=9, doc="d")).nodes

    assert nodes[TARGET].type is NodeType.SERIAL
    assert (nodes[TARGET].command, nodes[TARGET].max_time) == ("", None)
    assert nodes[TARGET].children == ("exec",)
    assert nodes[f"{TARGET}/exec"].command == "echo"
    assert nodes[f"{TARGET}/exec"].max_time == 9.0


def test_tree_inherits_the_values_at_its_place():
    here = written(cpu=3, __env__A="1", max_time="1m", lazy_params={"mem": 5, "max_time": "2m"})

    node = generate(serial("p", __env__B="2"), here).nodes[f"{TARGET}/p"]

    assert (node.placement.cpu, node.placement.mem) == (3.0, 5.0)
    assert node.env == {"A": "1", "B": "2"}
    assert node.max_time == 120.0


def test_it_inherits_the_image_of_its_place_when_it_has_none():
    root = form(serial("p"), images={})

    nodes = resolve_generated(root, TARGET, written()).nodes

    assert nodes[f"{TARGET}/p"].placement.image == "i"


@pytest.mark.parametrize(
    ("params", "pool"),
    [
        pytest.param({}, "shared", id="the default pool"),
        pytest.param({"container_reuse_context": "new"}, "context:/", id="the pipeline's"),
    ],
)
def test_it_runs_in_the_pool_of_its_place(params, pool):
    assert generate(serial("p"), written(**params)).nodes[f"{TARGET}/p"].pool == pool


def test_a_context_of_its_own_belongs_to_its_own_group():
    nodes = generate(serial("p", container_reuse_context="new")).nodes

    assert nodes[f"{TARGET}/p"].pool == f"context:{TARGET}"


def test_it_must_agree_with_the_container_of_the_context_it_joins():
    here = written(container_reuse_context="new")

    with pytest.raises(DefinitionError, match=r"^/L/Execute/p: gpu=1 differs from gpu=0 of /L/Gen"):
        generate(serial(leaf("p", gpu=1)), here)


def test_notifying_callbacks_are_inherited_by_nodes_and_retries_by_execs():
    retry = ["error", ["retry", {"max_num_retries": 1, "inherited": True}]]
    mail = ["done", ["email", {"inherited": True}]]
    telling = Callback("done", "email", {}, inherited=True)
    retrying = Callback("error", "retry", {"max_num_retries": 1}, inherited=True)

    here = written(lazy_params={"callbacks": [retry]}, callbacks=[mail])
    nodes = generate(serial(parallel("q", name="g")), here).nodes

    assert nodes[TARGET].callbacks == (telling,)
    assert nodes[f"{TARGET}/g"].callbacks == (telling,)
    assert nodes[f"{TARGET}/g/q"].callbacks == (retrying, telling)


def test_a_single_exec_and_the_group_around_it_inherit_callbacks_as_well():
    mail = ["done", ["email", {"inherited": True}]]
    telling = Callback("done", "email", {}, inherited=True)

    nodes = generate(leaf(), written(callbacks=[mail])).nodes

    assert nodes[TARGET].callbacks == (telling,)
    assert nodes[f"{TARGET}/exec"].callbacks == (telling,)


def test_a_callback_that_is_not_handed_down_stops_at_its_node():
    mail = ["done", ["email", {"inherited": False}]]

    nodes = generate(
        serial("p"), written(callbacks=[mail], lazy_params={"callbacks": [mail]})
    ).nodes

    assert nodes[TARGET].callbacks == nodes[f"{TARGET}/p"].callbacks == ()


def test_a_target_that_is_skipped_stays_skipped():
    group = serial(lazy()["children"][0][1], parallel(name="Execute", skip=True), name="L")

    nodes = generate(serial("p"), resolve(form(serial(group)))).nodes

    assert nodes[TARGET].skip
    assert not nodes[f"{TARGET}/p"].skip


def test_a_lazy_in_it_has_its_target_in_it():
    nodes = generate(serial(lazy("M"))).nodes

    assert nodes[f"{TARGET}/M/Generate"].lazy_target == f"{TARGET}/M/Execute"
    assert nodes[f"{TARGET}/M/Execute"].awaits_tree


def test_lazy_may_be_the_root():
    nodes = generate(lazy()).nodes

    assert nodes[f"{TARGET}/Generate"].lazy_target == f"{TARGET}/Execute"
    assert not nodes[TARGET].awaits_tree


def test_a_single_exec_that_prints_a_tree_for_its_own_place_is_refused():
    generate_alone = lazy()["children"][0][1]

    with pytest.raises(DefinitionError, match=r"^/L/Execute/exec: no group /L/Execute is beside"):
        generate(generate_alone)


def test_errors_name_the_future_path_of_the_node():
    with pytest.raises(DefinitionError, match=r"^/L/Execute/p: cpu must be above 0, got 0$"):
        generate(serial(leaf("p", cpu=0)))


def test_edits_of_its_nodes_are_laid_over_it():
    edits = {f"{TARGET}/p": {"cpu": 7}, TARGET: {"__env__A": "1"}}

    nodes = resolve_generated(form(serial("p")), TARGET, written(), edits).nodes

    assert nodes[f"{TARGET}/p"].placement.cpu == 7.0
    assert nodes[f"{TARGET}/p"].env == {"A": "1"}


def test_the_target_remembers_how_it_was_written():
    here = written(cpu=3)

    assert generate(serial("p"), here).nodes[TARGET].place is here.nodes[TARGET]


def test_next_tree_inherits_nothing_from_the_previous_one():
    here = written()
    last = generate(serial("p", cpu=9, __env__A="1"), here)
    grown = Pipeline({**here.nodes, **last.nodes}, here.images)

    assert generate(serial("p"), grown).nodes == generate(serial("p"), here).nodes


# ---- images -------------------------------------------------------------------------------------

OTHER = {"image": "debian"}


def images_of(made):
    return {name: image.image for name, image in made.images.items()}


def test_a_new_image_joins_the_pipeline_under_its_name():
    made = generate(serial("p", image_name="n"), images={"n": OTHER})

    assert images_of(made) == {"n": "debian"}
    assert made.nodes[f"{TARGET}/p"].placement.image == "n"


def test_an_image_that_the_pipeline_has_is_not_built_again():
    made = generate(serial("p", image_name="i"), images=IMAGES)

    assert made.images == {}
    assert made.nodes[f"{TARGET}/p"].placement.image == "i"


def test_another_image_of_a_known_name_is_renamed_wherever_it_is_used():
    root = serial("p", leaf("q", image_name="n"), image_name="i")

    made = generate(root, images={"i": OTHER, "n": {"image": "alpine"}})

    assert images_of(made) == {"i@/L/Execute": "debian", "n": "alpine"}
    assert made.images["i@/L/Execute"].name == "i@/L/Execute"
    assert made.nodes[f"{TARGET}/p"].placement.image == "i@/L/Execute"
    assert made.nodes[f"{TARGET}/q"].placement.image == "n"


def test_a_renamed_image_that_is_generated_again_is_known():
    here = written()
    here.images.update(generate(serial("p", image_name="i"), here, {"i": OTHER}).images)

    again = generate(serial("p", image_name="i"), here, {"i": OTHER})

    assert again.images == {}
    assert again.nodes[f"{TARGET}/p"].placement.image == "i@/L/Execute"


def test_a_third_definition_of_a_name_does_not_take_the_place_of_the_second():
    here = written()
    here.images.update(generate(serial("p", image_name="i"), here, {"i": OTHER}).images)

    third = generate(serial("p", image_name="i"), here, {"i": {"image": "alpine"}})

    assert images_of(third) == {"i@/L/Execute@2": "alpine"}
    assert third.nodes[f"{TARGET}/p"].placement.image == "i@/L/Execute@2"


def test_image_with_our_package_added_at_launch_equals_its_definition():
    tree = serial(lazy("L", command="conducto p.py f"), image_name="i")
    first = resolve(form(tree, IMAGES))

    made = generate(serial("p", image_name="i"), here=first, images=IMAGES)

    assert first.images["i"].install_pip == ("conducto",)
    assert made.images == {}


def test_a_generated_native_function_gets_an_image_with_our_package():
    root = serial(leaf("p", command="conducto p.py f"), image_name="i")

    made = generate(root, images=IMAGES)

    assert made.images["i@/L/Execute"].install_pip == ("conducto",)
    assert made.nodes[f"{TARGET}/p"].placement.image == "i@/L/Execute"
