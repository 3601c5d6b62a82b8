"""From the tree as written to the tree as it runs: inherited and other parameters."""

import pytest

from conducto.errors import DefinitionError
from conducto_core.run.model.states import NodeType
from conducto_core.tree.model import Callback, Placement
from conducto_core.tree.rules.checks import Limits
from conducto_core.tree.rules.resolve import resolve
from conducto_local.run.admission import check_nodes
from support.trees import form, lazy, leaf, parallel, pipeline, serial

IMAGES = {"i": {"image": "busybox"}, "j": {"image": "debian"}}


def resolved(tree, images=None):
    return resolve(form(tree, images)).nodes


def chain(*levels):
    """Groups inside of each other, the last level being an Exec called "x" on the way."""
    *above, last = levels
    node = leaf("x", **last)
    for params in reversed(above):
        node = serial(node, name="g", **params)
    return node


# ---- inherited parameters -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "values", "default"),
    [
        pytest.param("cpu", (2, 0.5), 1.0, id="cpu"),
        pytest.param("mem", (4, 0.25), 2.0, id="mem"),
        pytest.param("gpu", (2, 0), 0, id="gpu"),
        pytest.param("requires_docker", (True, False), False, id="requires_docker"),
        pytest.param("docker_run_args", (["-v", "a:b"], []), (), id="docker_run_args"),
    ],
)
def test_a_size_is_the_nearest_one_written(parameter, values, default):
    far, near = values

    def at(tree, path):
        value = getattr(resolved(tree)[path].placement, parameter)
        return list(value) if isinstance(value, tuple) else value

    assert at(chain({}, {}), "/x") == (list(default) if default == () else default)
    assert at(chain({parameter: far}, {}, {}), "/g/x") == far
    assert at(chain({parameter: far}, {parameter: near}, {}), "/g/x") == near
    assert at(chain({parameter: far}, {}, {parameter: near}), "/g/x") == near
    assert at(chain({parameter: far}, {parameter: near}, {}), "/") == far


def test_an_image_is_the_nearest_one_written():
    tree = chain({"image_name": "i"}, {"image_name": "j"}, {})

    nodes = resolved(tree, IMAGES)

    assert [nodes[path].placement.image for path in ("/", "/g", "/g/x")] == ["i", "j", "j"]


def test_none_equals_a_missing_value():
    nothing = {"cpu": None, "mem": None, "gpu": None, "image_name": None, "max_time": None}

    nodes = resolved(chain({"image_name": "i", "cpu": 3, "max_time": 7}, nothing), IMAGES)

    assert nodes["/x"].placement == Placement("i", cpu=3.0)
    assert nodes["/x"].max_time == 7.0


def test_env_is_merged_along_the_path_and_the_nearest_wins():
    tree = chain({"__env__A": "1", "__env__B": "1"}, {"__env__B": "2"}, {"__env__C": "3"})

    nodes = resolved(tree)

    assert nodes["/"].env == {"A": "1", "B": "1"}
    assert nodes["/g"].env == {"A": "1", "B": "2"}
    assert nodes["/g/x"].env == {"A": "1", "B": "2", "C": "3"}


def test_env_of_a_node_does_not_reach_its_siblings():
    nodes = resolved(serial(leaf("a", __env__A="1"), "b"))

    assert nodes["/b"].env == {}


def test_nodes_that_inherit_the_same_share_one_object():
    nodes = resolved(parallel("a", parallel("b", name="p"), cpu=2, __env__A="1"))

    assert nodes["/a"].placement is nodes["/p/b"].placement is nodes["/"].placement
    assert nodes["/a"].env is nodes["/p/b"].env is nodes["/"].env


def test_nodes_that_write_the_same_share_one_object():
    nodes = resolved(parallel(leaf("a", cpu=2), leaf("b", cpu=2.0), leaf("c", cpu=3)))

    assert nodes["/a"].placement is nodes["/b"].placement
    assert nodes["/a"].placement is not nodes["/c"].placement


# ---- max_time -----------------------------------------------------------------------------------


def test_exec_may_take_four_hours_by_default():
    assert resolved(chain({}, {}))["/x"].max_time == 4 * 3600.0


def test_max_time_is_inherited_by_execs_and_bounds_only_the_group_it_is_written_on():
    nodes = resolved(chain({"max_time": "1m"}, {}, {}))

    assert {path: node.max_time for path, node in nodes.items()} == {
        "/": 60.0,
        "/g": None,
        "/g/x": 60.0,
    }


@pytest.mark.parametrize(("own", "seconds"), [("10s", 10.0), ("1h", 3600.0)], ids=["less", "more"])
def test_max_time_of_an_exec_overrides_the_inherited_one(own, seconds):
    assert resolved(chain({"max_time": "1m"}, {"max_time": own}))["/x"].max_time == seconds


# ---- parameters without inheritance -------------------------------------------------------------

ONLY_HERE = {
    "skip": (True, False),
    "suppress_errors": (True, False),
    "max_concurrent": (3, None),
    "doc": ("text", None),
    "title": ("text", None),
    "tags": (("a", "b"), ()),
    "file": ("/p.py", None),
    "line": (3, None),
}


@pytest.mark.parametrize(("parameter", "values"), ONLY_HERE.items(), ids=list(ONLY_HERE))
def test_group_parameters_apply_to_the_group_itself(parameter, values):
    written, default = values

    nodes = resolved(chain({parameter: written}, {}, {}))

    assert getattr(nodes["/"], parameter) == written
    assert getattr(nodes["/g"], parameter) == default
    assert getattr(nodes["/g/x"], parameter) == default


def test_stop_on_error_is_of_one_serial():
    nodes = resolved(chain({"stop_on_error": False}, {}, {}))

    assert [nodes[path].stop_on_error for path in ("/", "/g")] == [False, True]


def test_a_reuse_context_is_kept_as_written_besides_the_pool_it_makes():
    nodes = resolved(chain({"container_reuse_context": "new"}, {}, {}))

    assert [nodes[path].reuse_context for path in ("/", "/g", "/g/x")] == ["new", None, None]
    assert nodes["/g/x"].pool == "context:/"


# ---- shape --------------------------------------------------------------------------------------


def test_nodes_come_in_definition_order_parents_first():
    tree = serial(parallel("x", "y", name="p"), "q", parallel("z", name="r"))

    assert list(resolved(tree)) == ["/", "/p", "/p/x", "/p/y", "/q", "/r", "/r/z"]


def test_a_group_knows_its_children_in_order():
    node = resolved(serial("b", "a", "c"))["/"]

    assert (node.type, node.children) == (NodeType.SERIAL, ("b", "a", "c"))


def test_a_group_has_no_command_even_if_one_is_written():
    assert resolved(serial("a", command="rm"))["/"].command == ""


def test_any_name_without_a_slash_will_do():
    names = [" ", ".", "..", "a b", "a=b?c:d", "ünï", "-x", "\n", "0"]

    assert [node.path for node in pipeline(parallel(*names)).execs()] == [f"/{n}" for n in names]


def test_a_tree_may_be_a_single_exec_or_an_empty_group():
    assert list(resolved(leaf())) == ["/"]
    assert list(resolved(parallel())) == ["/"]


def test_five_thousand_levels_resolve():
    depth = 5000
    nodes = [{"id": str(i), "type": "Serial", "image_name": "i"} for i in range(depth)]
    nodes.append({"id": str(depth), "type": "Exec", "command": "true"})
    edges = [[str(i), str(i + 1), "n"] for i in range(depth)]

    made = resolve({"nodes": nodes, "edges": edges, "images": IMAGES})

    assert len(made.nodes) == depth + 1
    assert next(made.execs()).path == "/n" * depth


@pytest.mark.parametrize(
    ("groups", "width"), [(10, 100), pytest.param(100, 1000, marks=pytest.mark.long)]
)
def test_commands_of_a_large_tree_share_equal_settings(groups, width):
    nodes = [{"id": "r", "type": "Parallel", "image_name": "i", "__env__A": "1"}]
    edges = []
    for group in range(groups):
        nodes.append({"id": f"g{group}", "type": "Serial", "cpu": 2})
        edges.append(["r", f"g{group}", f"g{group}"])
        for i in range(width):
            nodes.append({"id": f"{group}.{i}", "type": "Exec", "command": "true"})
            edges.append([f"g{group}", f"{group}.{i}", str(i)])

    made = resolve({"nodes": nodes, "edges": edges, "images": IMAGES})

    execs = list(made.execs())
    assert len(execs) == width * groups
    assert len({id(node.placement) for node in execs}) == 1
    assert len({id(node.env) for node in execs}) == 1
    assert len({id(node.callbacks) for node in execs}) == 1


# ---- callbacks ----------------------------------------------------------------------------------


def retry(*, inherited):
    return ["error", ["retry", {"max_num_retries": 2, "inherited": inherited}]]


def mail(*, inherited, event="done"):
    return [event, ["email", {"to": "a@b.example", "inherited": inherited, "user_display": True}]]


RETRY = Callback("error", "retry", {"max_num_retries": 2})
RETRY_BELOW = Callback("error", "retry", {"max_num_retries": 2}, inherited=True)
MAIL = Callback("done", "email", {"to": "a@b.example"})
MAIL_BELOW = Callback("done", "email", {"to": "a@b.example"}, inherited=True)


def callbacks(*levels):
    nodes = resolved(chain(*({"callbacks": own} for own in levels)))
    return {path: node.callbacks for path, node in nodes.items()}


def test_callback_belongs_to_its_node():
    assert callbacks([mail(inherited=False)], [], []) == {"/": (MAIL,), "/g": (), "/g/x": ()}


def test_inherited_notifying_callback_applies_to_every_node_below():
    assert callbacks([mail(inherited=True)], [], []) == {
        "/": (MAIL_BELOW,),
        "/g": (MAIL_BELOW,),
        "/g/x": (MAIL_BELOW,),
    }


def test_an_inherited_callback_that_retries_is_about_the_execs_below_only():
    assert callbacks([retry(inherited=True)], [], []) == {
        "/": (),
        "/g": (),
        "/g/x": (RETRY_BELOW,),
    }


def test_a_retry_that_is_not_inherited_is_about_the_group_as_a_unit():
    assert callbacks([retry(inherited=False)], [], []) == {"/": (RETRY,), "/g": (), "/g/x": ()}


def test_own_callbacks_come_before_inherited_ones_and_the_nearest_before_the_far():
    far, near = mail(inherited=True, event="error"), mail(inherited=True, event="killed")

    found = callbacks([far], [near], [retry(inherited=False)])["/g/x"]

    assert [c.event for c in found] == ["error", "killed", "error"]
    assert [c.name for c in found] == ["retry", "email", "email"]


def test_an_inherited_callback_written_on_an_exec_is_about_that_exec():
    assert callbacks([], [retry(inherited=True)])["/x"] == (RETRY_BELOW,)


def test_the_old_name_of_killed_is_understood():
    old = ["worker_error", ["retry", {"max_num_retries": 2}]]

    assert callbacks([], [old])["/x"][0].event == "killed"


# ---- Lazy ---------------------------------------------------------------------------------------


def test_target_of_a_lazy_is_its_sibling_of_that_name_at_any_depth():
    nodes = resolved(serial(parallel(lazy("L"), name="p")))

    assert nodes["/p/L/Generate"].lazy_target == "/p/L/Execute"
    assert nodes["/p/L/Generate"].callbacks == ()
    assert nodes["/p/L/Execute"].awaits_tree
    assert not nodes["/p/L"].awaits_tree


def test_a_lazy_may_be_the_whole_pipeline():
    assert resolved(lazy())["/Generate"].lazy_target == "/Execute"


# ---- edits --------------------------------------------------------------------------------------


def edited(tree, edits):
    return resolve(form(tree), edits).nodes


def test_edit_overrides_the_written_value_and_is_inherited():
    nodes = edited(serial("a", parallel("b", name="p"), cpu=2), {"/p": {"cpu": 3}})

    assert [nodes[path].placement.cpu for path in ("/a", "/p/b")] == [2.0, 3.0]


def test_an_edit_to_none_lets_the_inherited_value_hold_again():
    nodes = edited(serial(leaf("a", cpu=4), cpu=2), {"/a": {"cpu": None}})

    assert nodes["/a"].placement.cpu == 2.0


def test_env_edited_to_none_is_removed_even_if_inherited():
    tree = serial(leaf("a", __env__B="2"), "b", __env__A="1")

    nodes = edited(tree, {"/a": {"__env__A": None}})

    assert nodes["/a"].env == {"B": "2"}
    assert nodes["/b"].env == {"A": "1"}


# ---- sizes --------------------------------------------------------------------------------------

MACHINE = Limits(cpu=4, mem=8, gpu=1)


def test_request_for_the_whole_machine_is_accepted():
    check_nodes(resolved(serial(leaf("a", cpu=4, mem=8, gpu=1))), MACHINE)


def test_the_size_of_a_group_without_execs_of_that_size_does_not_matter():
    check_nodes(resolved(serial(leaf("a", cpu=1), cpu=64)), MACHINE)


def test_a_tag_written_as_text_is_one_tag() -> None:
    assert resolved(leaf("a", tags="nightly")).pop("/").tags == ("nightly",)


# ---- our package in images ----------------------------------------------------------------------


def packages(tree, images):
    return {n: i.install_pip for n, i in resolve(form(tree, images)).images.items()}


@pytest.mark.parametrize(
    "command",
    ["conducto p.py f --x=1", "conducto-notebook n.ipynb", "\n conducto-data-user list x"],
)
def test_an_image_in_which_our_package_is_called_gets_it(command):
    tree = chain({"image_name": "i"}, {}, {"command": command})

    assert packages(tree, IMAGES) == {"i": ("conducto",), "j": ()}


def test_our_package_is_added_to_the_image_installs():
    tree = chain({"image_name": "i"}, {}, {"command": "conducto p.py f"})

    assert packages(tree, {"i": {"image": "a", "reqs_py": ["numpy"]}}) == {
        "i": ("numpy", "conducto")
    }


@pytest.mark.parametrize("asked", ["conducto", "Conducto==0.1.28", "conducto[x] >= 0.1"])
def test_our_package_is_not_asked_for_twice(asked):
    tree = chain({"image_name": "i"}, {}, {"command": "conducto p.py f"})

    assert packages(tree, {"i": {"image": "a", "install_pip": [asked]}}) == {"i": (asked,)}


@pytest.mark.parametrize("command", ["echo conducto p.py f", "conductor f", "./conducto f"])
def test_an_image_for_other_commands_stays_as_it_is_written(command):
    tree = chain({"image_name": "i"}, {}, {"command": command})

    assert packages(tree, IMAGES) == {"i": (), "j": ()}


def test_modified_command_does_not_change_the_image():
    tree = form(chain({"image_name": "i"}, {}, {}), IMAGES)
    edits = {"/g/x": {"command": "conducto p.py f"}}

    assert resolve(tree, edits).images == resolve(tree).images


@pytest.mark.parametrize("name", [[], {}, 3])
def test_non_text_image_name_is_rejected_when_our_package_is_called(name):
    tree = chain({}, {}, {"command": "conducto p.py f", "image_name": name})

    with pytest.raises(DefinitionError, match="/g/x: "):
        resolve(form(tree, IMAGES))


def test_a_child_that_no_node_can_be_is_refused_where_our_package_is_called():
    tree = form(chain({}, {}, {"command": "conducto p.py f"}), IMAGES)
    edges = [(parent, [child], name) for parent, child, name in tree["edges"]]

    with pytest.raises(DefinitionError, match="not a serialised tree"):
        resolve({**tree, "edges": edges})
