"""The plan to continue a pipeline with a changed tree, for random trees, outcomes and changes.

The laws use an oracle that knows neither the planner nor its rules: the commands that run before an
Exec because of enclosing Serials, read from the definition alone.
"""

from copy import deepcopy

from hypothesis import assume, given
from hypothesis import strategies as st

from conducto_core.programs.model import Fate
from conducto_core.programs.rules.continuation import fresh, plan
from conducto_core.programs.rules.fingerprints import fingerprint
from conducto_core.run.model.states import Cause, NodeType, State
from conducto_core.tree.model import ancestors, child_path
from support.laws import law
from support.random_trees import NO_CALLBACKS, leaves, trees
from support.trees import Driver, leaf, pipeline

TREES = trees(callbacks=NO_CALLBACKS, levels=3)
CHANGES = ("command", "rename", "insert", "delete", "swap", "type")


def execs(specs):
    return [path for path, spec in specs.items() if spec.type is NodeType.EXEC]


def prints(specs, paths=None):
    return {
        path: fingerprint(specs[path], specs[path].command, "sha256:1", "v1")
        for path in (execs(specs) if paths is None else paths)
    }


def played(data, tree):
    """Run a tree with random outcomes."""
    driver = Driver(tree)
    causes = st.sampled_from([None, None, None, Cause.EXIT_CODE])
    driver.run(lambda _path, _number: data.draw(causes))
    return driver.tree


def planned(old, new):
    ran = [path for path, node in old.nodes.items() if node.attempt and not node.spec.children]
    specs = {path: node.spec for path, node in old.nodes.items()}
    return plan(old, prints(specs, ran), new, prints(new))


def groups(tree):
    """Return every group of a tree as written, the root first."""
    found = [tree]
    for _, child in tree["children"]:
        if "children" in child:
            found += groups(child)
    return found


def change(data, tree, number):
    """Change one node of a tree as written; ``number`` makes names unique."""
    group = data.draw(st.sampled_from([g for g in groups(tree) if g["children"]]))
    children = group["children"]
    at = data.draw(st.integers(0, len(children) - 1))
    _, child = children[at]
    match data.draw(st.sampled_from(CHANGES)):
        case "command":
            is_exec = child["type"] == "Exec"
            child |= {"command": "other"} if is_exec else {"__env__OTHER": "1"}
        case "rename":
            children[at] = (f"renamed{number}", child)
        case "insert":
            children.insert(at, (f"inserted{number}", leaf()))
        case "delete":
            del children[at]
        case "swap":
            to = data.draw(st.integers(0, len(children) - 1))
            children[at], children[to] = children[to], children[at]
        case _:
            group["type"] = "Parallel" if group["type"] == "Serial" else "Serial"


def history(specs, path):
    """Return the commands that end before an Exec starts, in definition order."""
    earlier = []
    node = path
    for above in ancestors(path):
        names = specs[above].children
        if specs[above].type is NodeType.SERIAL:
            before = [child_path(above, n) for n in names[: names.index(node.rpartition("/")[2])]]
            earlier += [
                (one, specs[one].command, dict(specs[one].env))
                for top in before
                for one in execs(specs)
                if one == top or one.startswith(f"{top}/")
            ]
        node = above
    return sorted(earlier, key=lambda each: each[0])


@law(40)
@given(st.data(), TREES)
def test_equal_trees_keep_exactly_the_done_nodes(data, tree):
    old = played(data, tree)

    made = planned(old, pipeline(tree).nodes)

    done = [p for p, n in old.nodes.items() if n.state is State.DONE and n.spec.type == "Exec"]
    assert sorted(made.kept_paths()) == sorted(done)
    assert made.removed == ()


@law(100)
@given(st.data(), TREES)
def test_kept_nodes_are_done_and_equal_with_an_equal_history(data, tree):
    old = played(data, tree)
    changed = deepcopy(tree)
    for number in range(data.draw(st.integers(1, 3))):
        assume(any(group["children"] for group in groups(changed)))
        change(data, changed, number)
    new = pipeline(changed).nodes

    made = planned(old, new)

    specs = {path: node.spec for path, node in old.nodes.items()}
    before, now = prints(specs), prints(new)
    for path in made.kept_paths():
        assert old.nodes[path].state is State.DONE
        assert before[path] == now[path]
        assert history(specs, path) == history(new, path)
    assert set(made.execs) == set(execs(new))
    assert set(made.removed) == set(execs(specs)) - set(execs(new))


@law(50)
@given(st.data(), TREES)
def test_one_changed_command_resets_it_and_only_the_nodes_after_it(data, tree):
    old = played(data, tree)
    new = dict(pipeline(tree).nodes)
    changed = data.draw(st.sampled_from(execs(new) or ["/"]))
    assume(changed != "/")
    now = prints(new) | {changed: fingerprint(new[changed], "other", "sha256:1", "v1")}
    ran = [path for path in execs(new) if old.nodes[path].attempt]
    assume(changed in ran)

    made = plan(old, prints(new, ran), new, now)

    assert made.execs[changed].fate is not Fate.KEPT
    for path in execs(new):
        comes_later = changed in [one for one, *_ in history(new, path)]
        if comes_later:
            assert made.execs[path].fate is not Fate.KEPT
        elif path != changed:
            is_kept = made.execs[path].fate is Fate.KEPT
            assert is_kept == (old.nodes[path].state is State.DONE)


@law(40)
@given(st.data(), TREES, leaves(NO_CALLBACKS))
def test_insertion_reorder_and_rename_in_a_parallel_keep_the_siblings(data, tree, added):
    tree["type"] = "Parallel"
    tree["children"] += [("last", leaf())]
    old = played(data, tree)
    changed = deepcopy(tree)
    changed["children"].insert(0, ("inserted", added))
    changed["children"] = data.draw(st.permutations(changed["children"]))
    place = [name for name, _ in changed["children"]].index("last")
    changed["children"][place] = ("renamed", leaf())

    made = planned(old, pipeline(changed).nodes)

    done = [
        path
        for path, node in old.nodes.items()
        if node.spec.type is NodeType.EXEC and node.state is State.DONE and path != "/last"
    ]
    assert sorted(made.kept_paths()) == sorted(done)
    assert made.removed == ("/last",)


@law(40)
@given(st.data(), TREES)
def test_insertion_in_a_serial_keeps_the_earlier_siblings_only(data, tree):
    tree["type"] = "Serial"
    old = played(data, tree)
    changed = deepcopy(tree)
    at = data.draw(st.integers(0, len(changed["children"])))
    changed["children"].insert(at, ("inserted", leaf()))
    earlier = {name for name, _ in changed["children"][:at]}

    made = planned(old, pipeline(changed).nodes)

    done = [p for p, n in old.nodes.items() if n.state is State.DONE and n.spec.type == "Exec"]
    assert sorted(made.kept_paths()) == sorted(p for p in done if p.split("/")[1] in earlier)


@law(40)
@given(st.data(), TREES)
def test_images_without_digests_and_fresh_plans_keep_nothing(data, tree):
    old = played(data, tree)
    new = pipeline(tree).nodes
    ran = {path: None for path in execs(new) if old.nodes[path].attempt}

    assert list(plan(old, ran, new, dict.fromkeys(execs(new))).kept_paths()) == []
    assert list(fresh(old, new).kept_paths()) == []
