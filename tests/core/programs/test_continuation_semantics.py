"""The reasons of the plan to continue a pipeline, and its special cases."""

from conducto_core.programs.model import Fate
from conducto_core.programs.rules.continuation import (
    continuation,
    continued_tree,
    fresh,
    plan,
)
from conducto_core.programs.rules.fingerprints import ANY, ImageContent, fingerprint
from conducto_core.run.model import events as ev
from conducto_core.run.model.states import Cause
from conducto_core.tree.rules.resolve import resolve_generated
from support.trees import Driver, form, lazy, leaf, parallel, pipeline, serial


def prints(nodes, image="sha256:1", secrets="v1", **images):
    return {
        path: fingerprint(spec, spec.command, images.get(path.rpartition("/")[2], image), secrets)
        for path, spec in nodes.items()
        if spec.type == "Exec"
    }


def ran(tree, fail=(), skip=()):
    driver = Driver(tree, armed=False)
    if skip:
        driver.send(ev.NodesSkipped(skip))
    driver.send(ev.Armed())
    driver.run(lambda path, _: Cause.EXIT_CODE if path in fail else None)
    return driver.tree


def fates(tree, changed, *, fail=(), skip=(), **new):
    """Return ``{path: "kept", or the reason}`` after ``changed`` replaces ``tree``."""
    old = ran(tree, fail, skip)
    before = {p: n.spec for p, n in old.nodes.items() if n.attempt}
    nodes = pipeline(changed).nodes
    made = plan(old, prints(before), nodes, prints(nodes, **new))
    return {
        path: "kept" if each.fate is Fate.KEPT else each.reason for path, each in made.execs.items()
    }


def secret(**changed):
    """Return secrets by name with the time of their last change."""
    return {name: ("user", time) for name, time in changed.items()}


def test_secrets_that_changed_or_were_added_or_removed_are_named():
    one = serial(leaf("a"))

    def reason(before, now):
        nodes = pipeline(one).nodes
        old = prints(nodes, secrets=before)
        made = plan(ran(one), old, nodes, prints(nodes, secrets=now))
        return made.execs["/a"].reason

    assert reason(secret(A=1.0, B=1.0), secret(A=1.0, B=1.0)) == ""
    assert reason(secret(A=1.0, B=1.0), secret(A=2.0, C=1.0)) == "secrets changed: A, B, C"
    many = {f"S{number}": ("org", 1.0) for number in range(5)}
    assert reason({}, many) == "secrets changed: S0, S1, S2 and 2 more"


def test_fingerprints_of_an_earlier_version_are_compared_without_names():
    one = serial(leaf("a"))
    nodes = pipeline(one).nodes

    def reason(**new):
        return plan(ran(one), prints(nodes, secrets=""), nodes, prints(nodes, **new)).execs["/a"]

    before = prints(nodes, secrets="")["/a"]
    assert before.count(" ") == 5
    assert "{" not in before
    image = ImageContent("sha256:1", "sha256:base", "code-1")
    assert reason(image=image, secrets={}).fate is Fate.KEPT
    assert reason(image=image, secrets=secret(A=1.0)).reason == "secrets changed"
    other = image._replace(reference="sha256:2")
    assert reason(image=other, secrets={}).reason == "image digest changed"


def test_base_image_and_files_are_compared_in_place_of_the_image():
    one = serial(leaf("a"))
    nodes = pipeline(one).nodes
    image = ImageContent("sha256:1", "sha256:base", "code-1")

    def reason(**changes):
        made = plan(
            ran(one),
            prints(nodes, image=image),
            nodes,
            prints(nodes, image=image._replace(**changes)),
            lambda before, now: [f"{before}/{name} {now}" for name in "wxyz"],
        )
        return made.execs["/a"].reason

    assert reason(reference="not built") == ""
    assert reason(base="sha256:other") == "base image changed"
    assert reason(code="c-2") == "code changed: code-1/w c-2, code-1/x c-2, code-1/y c-2 and 1 more"
    both = reason(base="b", code="c")
    assert both == "base image and code changed: code-1/w c, code-1/x c, code-1/y c and 1 more"


def test_each_part_of_the_fingerprint_is_named_as_the_reason():
    one = serial(leaf("a"))
    cases = {
        "command changed": serial(leaf("a", command="false")),
        "environment changed: X": serial(leaf("a", __env__X="1")),
        "CPUs or memory changed": serial(leaf("a", mem=3)),
        "container settings changed": serial(leaf("a", gpu=1)),
    }

    assert {reason: fates(one, tree)["/a"] for reason, tree in cases.items()} == {
        reason: reason for reason in cases
    }
    assert fates(one, one, secrets="v2") == {"/a": "secrets changed"}
    assert fates(one, one, secrets=ANY) == {"/a": "kept"}
    assert fates(one, one, image="sha256:2") == {"/a": "image digest changed"}
    assert fates(one, one, image=None) == {"/a": "its image has no digest"}
    assert fates(one, one, image=ANY) == {"/a": "kept"}


def test_several_differences_are_all_named():
    changed = serial(leaf("a", command="false", mem=3))

    assert fates(serial(leaf("a")), changed) == {"/a": "command and CPUs or memory changed"}


def test_nodes_after_a_change_in_any_enclosing_serial_run():
    old = serial(parallel("a", "b", name="build"), parallel("c", name="test"))
    new = serial(parallel("a", leaf("b", __env__X="1"), name="build"), parallel("c", name="test"))

    assert fates(old, new) == {
        "/build/a": "kept",
        "/build/b": "environment changed: X",
        "/test/c": "after /build/b, which changed",
    }


def test_reasons_for_new_removed_and_moved_nodes():
    old = serial("a", "b", "c")

    assert fates(old, serial("a", "x", "b", "c"))["/b"] == "after /x, which is new"
    assert fates(old, serial("a", "c"))["/c"] == "after /b, which was removed"
    assert fates(old, serial("b", "a", "c"))["/c"] == "the order in / changed"
    assert fates(old, parallel("a", "b", "c")) == {
        "/a": "kept",
        "/b": "/ changed from Serial to Parallel",
        "/c": "/ changed from Serial to Parallel",
    }
    assert fates(
        serial(parallel("a", "b", name="p"), "c"), serial(parallel("a", name="p"), "c")
    ) == {
        "/p/a": "kept",
        "/c": "after /p/b, which was removed",
    }


def test_unfinished_nodes_run_and_do_not_reset_the_nodes_after_them():
    tree = serial("a", "b", stop_on_error=False)

    assert fates(tree, tree, fail={"/a"}) == {"/a": "it failed", "/b": "kept"}


def test_skip_of_a_user_is_carried_over_and_unskip_by_the_script_is_a_change():
    tree = serial("a", "b")
    skipping = serial(leaf("a", skip=True), "b")

    assert fates(tree, tree, skip=("/a",)) == {"/a": "", "/b": "kept"}
    assert fates(skipping, tree) == {
        "/a": "no longer skipped",
        "/b": "after /a, which changed",
    }


def test_suppressed_failure_runs_if_the_suppression_is_removed():
    tree = serial(leaf("a", suppress_errors=True))

    assert fates(tree, tree, fail={"/a"}) == {"/a": "kept"}
    assert fates(tree, serial("a"), fail={"/a"}) == {
        "/a": "it failed, and suppress_errors was removed"
    }


def test_all_nodes_of_a_shared_container_run_if_one_runs():
    old = parallel(serial("a", "b", name="g", container_reuse_context="new"), "other")
    changed = serial("a", leaf("b", command="false"), name="g", container_reuse_context="new")

    assert fates(old, parallel(changed, "other")) == {
        "/g/a": "shares a container with /g/b, which runs",
        "/g/b": "command changed",
        "/other": "kept",
    }


def test_lazy_without_its_tree_runs():
    tree = serial(lazy("l"))
    driver = Driver(tree)
    driver.start("/l/Generate")
    target = pipeline(tree).nodes["/l/Execute"]
    driver.generate("/l/Generate", {"/l/Execute": target})
    nodes = pipeline(tree).nodes
    before = {p: n.spec for p, n in driver.tree.nodes.items() if n.attempt}

    made = plan(driver.tree, prints(before), nodes, prints(nodes))

    assert made.execs["/l/Generate"].reason == "its tree is not available"


def test_fresh_plan_names_removed_nodes():
    made = fresh(ran(serial("a", "b")), pipeline(serial("a")).nodes)

    assert made.execs["/a"].fate is Fate.RUNS
    assert made.removed == ("/b",)


def generated_tree():
    """Return a pipeline whose Lazy has printed a tree that ran, and the printed form."""
    printed = form(parallel("x", "y"))
    driver = Driver(serial(lazy("l"), "end"))
    driver.start("/l/Generate")
    made = resolve_generated(printed, "/l/Execute", driver.pipeline)
    driver.generate("/l/Generate", made.nodes)
    driver.run()
    return driver.tree, printed


def continue_generated(old, printed, new):
    before = {path: node.spec for path, node in old.nodes.items()}
    found = continuation(
        old, prints(before), form(new), {"/l/Execute": printed}, lambda made: prints(made.nodes)
    )
    tried = {path: node.attempt for path, node in old.nodes.items() if node.attempt}
    return found, continued_tree(old, found.pipeline, set(found.plan.kept_paths()), tried)


def test_generated_tree_stays_with_its_lazy():
    old, printed = generated_tree()

    found, tree = continue_generated(old, printed, serial(lazy("l"), leaf("end", command="false")))

    assert found.generated == ("/l/Execute",)
    assert sorted(found.plan.kept_paths()) == ["/l/Execute/x", "/l/Execute/y", "/l/Generate"]
    assert {path: str(node.state) for path, node in tree.nodes.items()} == {
        "/": "pending",
        "/l": "done",
        "/l/Generate": "done",
        "/l/Execute": "done",
        "/l/Execute/x": "done",
        "/l/Execute/y": "done",
        "/end": "pending",
    }
    assert [(c.path, str(c.state)) for c in tree.take_changes()] == [
        ("/", "pending"),
        ("/end", "pending"),
    ]


def test_generated_tree_is_removed_if_its_lazy_changed():
    old, printed = generated_tree()

    found, tree = continue_generated(old, printed, serial(lazy("l", command="false"), "end"))

    assert found.generated == ()
    assert found.plan.removed == ("/l/Execute/x", "/l/Execute/y")
    assert found.plan.execs["/l/Generate"].reason == "command changed"
    assert "/l/Execute/x" not in tree.nodes
    assert tree.nodes["/l/Generate"].attempt == 1
    driver = Driver(found.pipeline, armed=False)
    driver.tree = tree
    driver.send(ev.Armed())
    assert driver.queued == {"/l/Generate": 2}
