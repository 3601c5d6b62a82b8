"""Checks of a tree before it is printed or launched."""

from __future__ import annotations

from typing import Any

import pytest

import conducto as co
from conducto.tree.validate import validate
from conducto.wire import limits

EXEC: list[tuple[dict[str, Any], str]] = [
    ({"cpu": 0}, "cpu must be above 0, got 0"),
    ({"cpu": "abc"}, "cpu must be a number above 0, got 'abc'"),
    ({"mem": -1}, "mem must be above 0, got -1"),
    ({"gpu": 17}, "gpu must be a whole number from 0 to 16, got 17"),
    ({"max_time": "banana"}, "max_time is an invalid duration: 'banana'"),
    ({"max_time": 0}, "max_time must be above 0, got 0"),
    ({"container_reuse_context": "old"}, "container_reuse_context must be"),
    ({"doc": 3}, "doc must be text, got 3"),
    ({"env": {"A B": "x"}}, "env name 'A B' is not an identifier"),
    ({"env": {"A": "\0"}}, "env value of A holds a NUL"),
    ({"image_name": "n"}, "no image is called 'n'"),
    ({"skip": "False"}, "skip must be True or False, got 'False'"),
    ({"skip": ""}, "skip must be True or False, got ''"),
    ({"skip": []}, "skip must be True or False, got []"),
    ({"skip": 2}, "skip must be True or False, got 2"),
    ({"suppress_errors": "yes"}, "suppress_errors must be True or False, got 'yes'"),
    ({"requires_docker": "no"}, "requires_docker must be True or False, got 'no'"),
    ({"snapshot_on_error": "no"}, "snapshot_on_error must be True or False, got 'no'"),
]


@pytest.mark.parametrize(("params", "text"), EXEC, ids=[text[:40] for _, text in EXEC])
def test_invalid_value_is_reported_with_its_node(params: dict[str, Any], text: str) -> None:
    root = co.Serial()
    root["x"] = co.Exec("true", **params)

    with pytest.raises(co.DefinitionError) as raised:
        validate(root)
    assert str(raised.value).startswith(f"/x: {text}")
    assert (raised.value.path, raised.value.file) == ("/x", __file__)


def test_values_that_equal_a_bool_are_valid() -> None:
    validate(co.Exec("true", skip=1, suppress_errors=0, requires_docker=None))  # type: ignore[arg-type]


def test_stop_on_error_is_a_bool_or_a_text() -> None:
    validate(co.Serial(stop_on_error="False"))  # type: ignore[arg-type]

    with pytest.raises(co.DefinitionError, match=r"^/: stop_on_error must be True or False, got 2"):
        validate(co.Serial(stop_on_error=2))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({"A": 1}, "/x has int in env value for A when str is required"),
        ({1: "a"}, "/x has int in env name 1 when str is required"),
    ],
)
def test_env_of_another_type_is_a_type_error(env: dict[Any, Any], text: str) -> None:
    root = co.Serial()
    root["x"] = co.Exec("true", env=env)

    with pytest.raises(TypeError) as raised:
        root.pretty()
    assert str(raised.value) == text


@pytest.mark.parametrize("command", ["", "  \n ", "a\0b"])
def test_command_that_no_shell_can_run_is_rejected(command: str) -> None:
    with pytest.raises(co.DefinitionError, match=r"^/: command "):
        validate(co.Exec(command))


def test_max_concurrent_set_later_on_an_exec_is_rejected() -> None:
    node = co.Exec("true")
    node.max_concurrent = 2

    with pytest.raises(co.DefinitionError, match="cannot be set on an Exec"):
        validate(node)


def test_unknown_image_is_a_key_error_too() -> None:
    with pytest.raises(KeyError, match="no image is called 'n'"):
        validate(co.Serial(image_name="n"))


def test_fractions_and_large_sizes_are_fine_locally() -> None:
    root = co.Serial(cpu=0.25, mem=1.5)
    root["x"] = co.Exec("true", cpu=64, mem=512, max_time="1.5d")

    validate(root)
    assert root.pretty(strict=False).endswith("x   true") or "true" in root.pretty(strict=False)


def test_sizes_on_a_machine_class_are_left_to_the_installation() -> None:
    root = co.Serial(machine="big")
    root["x"] = co.Exec("true", cpu=64, mem=400)

    validate(root, cloud=True)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (
            {"docker_run_args": "-v a:b"},
            (
                "/x: docker_run_args is not available in the cloud; put what the command needs "
                "into the image, or run the pipeline locally"
            ),
        ),
        (
            {"cpu": 33},
            (
                "/x: cpu=33 is more than a node may have in the cloud: 32; lower cpu, or run the "
                "pipeline locally"
            ),
        ),
    ],
)
def test_cloud_has_limits(params: dict[str, Any], text: str) -> None:
    root = co.Serial()
    root["x"] = co.Exec("true", **params)

    with pytest.raises(co.InvalidCloudParams) as raised:
        validate(root, cloud=True)
    assert str(raised.value) == text


def test_all_problems_of_a_tree_are_reported_at_once() -> None:
    root = co.Serial()
    root["a"] = co.Exec("true", cpu=0, mem=-1)
    root["b"] = co.Parallel(max_time="1 hour")
    root["b/c"] = co.Exec("true", cpu=64, image="a")
    root["b/d"] = co.Exec("", image="a")

    with pytest.raises(co.DefinitionError) as raised:
        validate(root, cloud=True)

    assert [" ".join(line.split(" ")[:2]) for line in str(raised.value).split("\n")] == [
        "the tree",  # has 5 problems
        "/a: cpu",
        "/a: mem",
        "/b: max_time",
        "/b/c: cpu=64",
        "/b/d: command",
    ]
    assert raised.value.path == "/a"


def test_very_many_problems_are_counted() -> None:
    root = co.Parallel()
    for number in range(25):
        root[f"n{number}"] = co.Exec("true", cpu=0)

    with pytest.raises(co.DefinitionError, match=r"\nand 5 more problems$"):
        validate(root)


def test_native_code_must_be_in_the_image_at_a_launch() -> None:
    root = co.Serial(image="a")
    root["x"] = co.Exec(test_unknown_image_is_a_key_error_too)

    validate(root)
    with pytest.raises(co.DefinitionError, match="Node references local code"):
        validate(root, check_code=True)


def test_function_outside_of_the_image_is_rejected_at_launch() -> None:
    def nested(x: int) -> None: ...

    root = co.Serial(image=co.Image("a", copy_dir="."))
    root["x"] = co.Exec(nested, 1)

    validate(root)
    with pytest.raises(
        co.DefinitionError, match=r"^/x: nested cannot be called in a container: it is"
    ):
        validate(root, check_code=True)


class Crowd(co.Parallel):
    """A thousand times the same child, to be many without taking the memory."""

    __slots__ = ("_child",)

    def __init__(self, child: co.Node) -> None:
        super().__init__()
        self._child = child

    @property
    def children(self) -> dict[str, co.Node]:
        return {str(i): self._child for i in range(1000)}


def test_a_tree_that_is_too_large_is_refused_before_it_is_printed() -> None:
    root = co.Serial()
    root["x"] = group = co.Serial()
    group["n" * (limits.MAX_NAME_BYTES + 1)] = co.Exec("true")
    with pytest.raises(co.DefinitionError, match=r"^/x: a child's name is 1025 bytes long") as said:
        root.pretty()
    assert (said.value.path, said.value.file) == ("/x", __file__)

    node = root = co.Serial()
    for _ in range(limits.MAX_LEVELS + 1):
        node["n"] = co.Serial()
        node = node["n"]
    with pytest.raises(co.DefinitionError, match="more than 8,000 levels here"):
        validate(root)

    with pytest.raises(co.DefinitionError, match=r"^/: the pipeline would have 1,001,001 nodes"):
        validate(Crowd(Crowd(co.Exec("true"))))
