"""Building trees: three syntaxes, paths, walking."""

from __future__ import annotations

import threading

import pytest

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.command.server import ISOLATE
from conducto_core.tree.rules.resolve import resolve

DEEP = 5_000


def sample() -> co.Serial:
    with co.Serial() as root:
        with co.Parallel(name="p"):
            co.Exec("echo x", name="x")
            co.Exec("echo y", name="y")
        co.Exec("echo z", name="z")
    return root


def test_with_blocks_attach_in_order() -> None:
    root = sample()

    assert [str(node) for node in root.stream()] == ["/", "/p", "/p/x", "/p/y", "/z"]


def test_assignment_builds_the_same_tree() -> None:
    root = co.Serial()
    root["p"] = co.Parallel()
    root["p"]["x"] = co.Exec("echo x")
    root["p/y"] = co.Exec("echo y")
    root["/z"] = co.Exec("echo z")

    assert root.serialize(pretty=True).count("echo") == 3
    assert [str(node) for node in root.stream()] == [str(node) for node in sample().stream()]


def test_reverse_stream_has_children_before_parents() -> None:
    assert [str(n) for n in sample().stream(reverse=True)] == ["/z", "/p/y", "/p/x", "/p", "/"]


def test_node_without_a_name_is_not_attached() -> None:
    with co.Serial() as root:
        co.Exec("echo x")

    assert root.children == {}


def test_subtree_built_apart_is_attached_whole() -> None:
    root, part = co.Serial(), sample()
    root["part"] = part

    assert str(part["p/x"]) == "/part/p/x"
    assert part["p/x"].root is root


def test_assignment_needs_the_parents_to_exist() -> None:
    with pytest.raises(KeyError, match="'a'"):
        co.Serial()["a/b"] = co.Exec("x")


def test_lookup_skips_doubled_slashes() -> None:
    root = sample()

    assert root["p//x"] is root["p"]["x"]


def test_lookup_with_a_leading_slash_begins_at_the_root() -> None:
    root = sample()

    assert root["p"]["/z"] is root["z"]
    assert root["p"]["/"] is root


def test_assignment_with_a_leading_slash_attaches_to_the_node_itself() -> None:
    root = sample()
    root["p"]["/w"] = co.Exec("w")

    assert str(root["p/w"]) == "/p/w"


def test_assignment_with_an_absolute_parent_attaches_there() -> None:
    root = sample()
    root["q"] = co.Serial()
    root["q"]["/p/w"] = co.Exec("w")

    assert str(root["p"]["w"]) == "/p/w"


@pytest.mark.parametrize("name", ["a b", "x=1", "why?", "a:b", "größe", ".", "..", "🦆"])
def test_any_name_without_a_slash_is_fine(name: str) -> None:
    root = co.Parallel()
    root[name] = co.Exec("true")

    assert str(root[name]) == f"/{name}"
    assert co.Node.deserialize(root.serialize())[name].name == name


def test_contains_asks_for_a_path() -> None:
    root = sample()

    assert "p/x" in root
    assert "p/zz" not in root


def test_name_of_a_root_is_a_slash() -> None:
    assert co.Serial().name == "/"


def test_set_changes_several_and_leaves_none() -> None:
    node = co.Exec("x", cpu=2)
    node.set(cpu=None, mem=4, tags="t", same_container=co.SameContainer.NEW)

    assert (node.cpu, node.mem, node.tags, node.container_reuse_context) == (2, 4, ["t"], "new")


def test_params_and_keywords_are_both_taken() -> None:
    node = co.Exec("x", mem=4, params=co.Params(cpu=2))

    assert (node.cpu, node.mem) == (2, 4)


def test_older_spelling_of_the_reuse_context_works() -> None:
    node = co.Exec("x", same_container=co.SameContainer.ESCAPE)

    assert node.container_reuse_context == co.ContainerReuseContext.GLOBAL


def test_inherited_attribute_comes_from_the_nearest_node() -> None:
    root = sample()
    root.cpu, root["p"].mem = 3, 8

    assert root["p/x"].get_inherited_attribute("cpu") == 3
    assert root["p/x"].get_inherited_attribute("mem") == 8
    assert root["z"].get_inherited_attribute("mem") == 2
    assert root["p/x"].cpu is None


def test_stop_on_error_takes_any_true_value() -> None:
    assert co.Serial(stop_on_error="False").stop_on_error == "False"  # type: ignore[arg-type]


def test_user_set_contains_the_parameters_of_the_node_itself() -> None:
    assert co.Exec("x", cpu=2).user_set == {
        "skip": False,
        "cpu": 2,
        "gpu": None,
        "mem": None,
        "requires_docker": None,
        "docker_run_args": None,
        "image_name": None,
    }


def test_file_and_line_are_those_of_the_call() -> None:
    node = co.Parallel()
    line = node.line

    assert (node.file, line) == (
        __file__,
        test_file_and_line_are_those_of_the_call.__code__.co_firstlineno + 1,
    )


def test_given_file_and_line_win() -> None:
    node = co.Exec("x", file="zz", line=3)

    assert (node.file, node.line) == ("zz", 3)


def test_docker_run_args_text_is_split_as_a_shell_would() -> None:
    assert co.Exec("x", docker_run_args="-v 'a b':c").docker_run_args == ["-v", "a b:c"]


def test_threads_have_blocks_of_their_own() -> None:
    failures = []

    def other() -> None:
        try:
            co.Exec("x", name="a")
        except ValueError as error:
            failures.append(str(error))

    with co.Serial() as root:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    assert failures == ["Cannot assign name=a outside of a context manager."]
    assert root.children == {}


@pytest.mark.parametrize(
    ("written", "command"),
    [
        ("\n    set -e\n      echo hi\n    ", "set -e\n  echo hi"),
        ("a\n   b\n    c\n", "a\nb\n c"),
        ("  x", "  x"),
        ("\n  x\n    y\n", "x\n  y"),
        ("\n\ta\tb\n\t\tc", "a\tb\n\tc"),
        ("cut -d'\t' -f1", "cut -d'\t' -f1"),
        (
            "\n    cat > Makefile <<E\n    all:\n    \techo\n    E\n",
            "cat > Makefile <<E\nall:\n\techo\nE",
        ),
        ("\n    cat <<-E\n\t\ta\n\tE\n", "cat <<-E\n\ta\nE"),
        ("\n  a\n\tb\n", "a\n\tb"),
        ("\n    a\n\t\n\n    b", "a\n\n\nb"),
        ("x\n  y  \n   \n    z", "x\ny  \n \n  z"),
    ],
)
def test_command_loses_the_indentation_of_its_place(written: str, command: str) -> None:
    assert co.Exec(written).command == command


def deep_tree() -> co.Serial:
    root = node = co.Serial()
    for _ in range(DEEP):
        below = co.Serial()
        node["d"] = below
        node = below
    node["leaf"] = co.Exec("true")
    return root


def test_deeply_nested_tree_is_built() -> None:
    root = deep_tree()
    back = co.Node.deserialize(root.serialize())

    leaf = list(back.stream())[-1]
    assert str(leaf) == "/d" * DEEP + "/leaf"
    assert root.pretty().count("\n") == DEEP + 1


def test_deep_tree_is_built_from_the_bottom() -> None:
    node = co.Serial()
    for _ in range(DEEP):
        above = co.Serial()
        above["d"] = node
        node = above

    assert len(list(node.stream())) == DEEP + 1


def test_isolate_is_inherited_as_a_variable_of_the_command() -> None:
    root = co.Serial(image="busybox", isolate=True, env={"A": "1"})
    root["inherits"] = co.Exec("true")
    root["shares"] = co.Exec("true", isolate=False)

    nodes = resolve(to_launch_form(root)).nodes

    assert nodes["/inherits"].env == {"A": "1", ISOLATE: "1"}
    assert nodes["/shares"].env == {"A": "1", ISOLATE: "0"}
    assert [root["inherits"].isolate, root["shares"].isolate] == [None, False]
    assert root["inherits"].get_inherited_attribute("isolate") is True
    root.set(isolate=False)
    assert root.isolate is False
    root.isolate = None
    assert root.env == {"A": "1"}


def test_launch_is_inherited_as_a_variable_of_the_command() -> None:
    root = co.Serial(image="busybox", launch=True)
    root["inherits"] = co.Exec("true")
    root["own"] = co.Exec("true", launch=False)

    assert (root.env, root["own"].env) == ({"CONDUCTO_LAUNCH": "1"}, {"CONDUCTO_LAUNCH": "0"})
    assert root["inherits"].get_inherited_attribute("launch") is True
    root.set(launch=False)
    assert root.may_launch is False
    root.may_launch = None
    assert root.env == {}
    with pytest.raises(TypeError, match="launch must be True or False, got 1"):
        co.Exec("true", launch=1)


def test_isolate_must_be_a_bool() -> None:
    with pytest.raises(TypeError, match="isolate must be True or False, got 'yes'"):
        co.Exec("true", isolate="yes")  # type: ignore[arg-type]
