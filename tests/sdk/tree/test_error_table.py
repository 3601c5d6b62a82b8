"""The errors that pipelines written for the original may count on: type and text."""

# ruff: noqa: UP006, UP035
# The older spellings of annotations are tested here.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List

import pytest

import conducto as co

if TYPE_CHECKING:
    from collections.abc import Callable


def two_children() -> co.Serial:
    root = co.Serial()
    root["a"] = co.Exec("true")
    root["p"] = co.Parallel()
    return root


def attach_twice() -> None:
    root = two_children()
    root["a"] = co.Exec("true")


def attach_elsewhere() -> None:
    co.Serial()["x"] = two_children()["a"]


def attach_to_itself() -> None:
    root = co.Serial()
    root["x"] = root


def attach_to_own_descendant() -> None:
    root = two_children()
    root["p"]["x"] = root


def attach_to_exec() -> None:
    two_children()["a"]["x"] = co.Exec("true")


def empty_name() -> None:
    co.Serial()[""] = co.Exec("true")


def number_as_name() -> None:
    co.Serial()[3] = co.Exec("true")  # type: ignore[index]


def something_else_as_child() -> None:
    co.Serial()["x"] = 3  # type: ignore[assignment]


def slash_in_name() -> None:
    with co.Serial():
        co.Exec("true", name="a/b")


def inner_block_left_open() -> None:
    with co.Parallel():
        co.Serial().__enter__()


def same_image_name_twice() -> None:
    root = co.Serial(image=co.Image("a", name="n"))
    root["x"] = co.Exec("true", image=co.Image("b", name="n"))


def set_name() -> None:
    two_children()["a"].name = "b"  # type: ignore[misc]


def set_unknown_attribute() -> None:
    two_children()["a"].nmae = "b"  # type: ignore[attr-defined]


def listed(x: List[int]) -> None: ...
def integer(a: int, b: str = "") -> None: ...
def real(x: float) -> None: ...
def several(*a: int) -> None: ...
def keyword(a: int, *, b: int) -> None: ...


CANNOT = "Invalid value for docker_run_args, cannot specify any of --cpus, --memory, --network"
TREE = "violates the integrity of the pipeline"
CASES = [
    (attach_twice, co.TreeError, f"Adding node a {TREE}"),
    (attach_elsewhere, co.TreeError, f"Adding node x {TREE}"),
    (attach_to_itself, co.TreeError, f"Adding node x {TREE}"),
    (attach_to_own_descendant, co.TreeError, f"Adding node x {TREE}"),
    (attach_to_exec, co.TreeError, f"Adding node x {TREE}"),
    (empty_name, ValueError, "Name cannot be empty"),
    (number_as_name, TypeError, "Node names must be strings. Expected object of type str, got 3"),
    (something_else_as_child, TypeError, "only a node can be a child, got 3"),
    (lambda: co.Serial()["zz"], KeyError, "'zz'"),
    (lambda: list(co.Serial()), TypeError, "'Serial' object is not iterable"),  # type: ignore[call-overload]
    (
        lambda: co.Exec("x", name="a"),
        ValueError,
        "Cannot assign name=a outside of a context manager.",
    ),
    (slash_in_name, ValueError, "Disallowed character in name, may not use '/': a/b"),
    (inner_block_left_open, Exception, "Node context error: "),
    (lambda: co.Exec("x", image="a", image_name="b"), AssertionError, "can only specify one image"),
    (lambda: co.Exec("x", image=3), ValueError, "Unknown type for Node.image: 3"),
    (
        same_image_name_twice,
        co.DuplicateImageError,
        "n already present with a different definition in this repository",
    ),
    (lambda: co.Exec("x", image_name="n").image, KeyError, "'n'"),
    (
        lambda: co.Exec("x", same_container="new", container_reuse_context="new"),
        ValueError,
        "same_container is deprecated in favor of container_reuse_context, please don't use both.",
    ),
    (lambda: co.Exec("a", "b"), ValueError, "Only allowed arg is command. Got:"),
    (
        lambda: co.Exec("a", cpu=3, params={"cpu": 2}),
        ValueError,
        "The following Conducto parameters were specified twice: cpu",
    ),
    (
        lambda: co.Exec("x", zz=1),
        TypeError,
        "Node.__init__() got an unexpected keyword argument 'zz'",
    ),
    (lambda: co.Exec("x", imge="a"), TypeError, "did you mean 'image'?"),
    (lambda: co.Parallel(stop_on_error=True), TypeError, "got an unexpected keyword argument"),
    (lambda: co.Exec("x", tags=["a", 1]), TypeError, "Expected list of strings, but got 1"),
    (lambda: co.Exec("x", tags={"a": 1}), TypeError, "Cannot convert {'a': 1} to list of strings."),
    (lambda: co.Serial(max_concurrent=0), Exception, "Cannot specify no concurrent nodes"),
    (
        lambda: co.Exec("x", max_concurrent=2),
        ValueError,
        "max_concurrent=2 cannot be set on an Exec",
    ),
    (
        lambda: co.Serial(docker_run_args="--cpus 3"),
        ValueError,
        f"{CANNOT}, got --cpus; set cpu= on the node",
    ),
    (
        lambda: co.Serial(docker_run_args="--network host"),
        ValueError,
        f"{CANNOT}, got --network; the nodes of a pipeline share a network of its own",
    ),
    (
        lambda: co.Serial(docker_run_args=[1]),
        ValueError,
        "Invalid value for docker_run_args, str or List[str] required: [1]",
    ),
    (lambda: co.Image(foo=3), ValueError, "unknown args: {'foo': 3}"),
    (lambda: co.Exec(None), TypeError, "command must be text or a function, got None"),
    (set_name, AttributeError, ""),
    (set_unknown_attribute, AttributeError, "nmae"),
    (lambda: co.Exec("x").set(foo=3), TypeError, "set() got an unexpected keyword argument 'foo'"),
    (lambda: co.Exec("x").id, AttributeError, "id"),
    (lambda: co.Exec("x").on_done(3), TypeError, "a callback of co.callback is needed"),
    (
        lambda: co.Serial().launch(local=True, cloud=True),
        ValueError,
        "Too many run modes selected (max: 1). local=True cloud=True k8s=False",
    ),
    (
        lambda: co.Exec(several, 1),
        TypeError,
        (
            "Unsupported parameter types of several: [('a', 'VAR_POSITIONAL')] "
            "- Only POSITIONAL_OR_KEYWORD is allowed. Conducto passes every argument by its name, "
            "so write ordinary parameters"
        ),
    ),
    (lambda: co.Exec(keyword, 1, b=2), TypeError, "[('b', 'KEYWORD_ONLY')]"),
    (
        lambda: co.Exec(integer, "1"),
        TypeError,
        (
            "Argument a='1' <class 'str'> for function integer is not compatible "
            "with expected type: <class 'int'>"
        ),
    ),
    (
        lambda: co.Exec(listed, ["a"]),
        TypeError,
        "not compatible with expected type: typing.List[int]",
    ),
    (lambda: co.Exec(real, 1), TypeError, "not compatible with expected type: <class 'float'>"),
    (lambda: co.Exec(integer), TypeError, "integer() missing 1 required positional argument: 'a'"),
    (
        lambda: co.Exec(integer, 1, "", 3),
        TypeError,
        "integer() takes from 1 to 2 positional arguments",
    ),
    (
        lambda: co.Exec(integer, 1, c=2),
        TypeError,
        "integer() got an unexpected keyword argument 'c'",
    ),
    (
        lambda: co.Exec(integer, 1, cpu=2, env={"A": "b"}),
        TypeError,
        "'cpu'; parameters of the node are given in params=co.Params(cpu=2, env=...)",
    ),
    (lambda: co.Exec(integer, aa=1), TypeError, "argument 'aa'; did you mean 'a'?"),
    (
        lambda: co.Notebook("x.ipynb", a=[1]),
        Exception,
        "compound datatypes not supported for conducto-notebook arguments",
    ),
]


@pytest.mark.parametrize(
    ("act", "error", "text"),
    CASES,
    ids=[f"{index}-{case[2][:40]}" for index, case in enumerate(CASES)],
)
def test_mistake_has_its_type_and_text(
    act: Callable[[], Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as raised:
        act()

    assert text in str(raised.value)


def test_taken_name_says_where_it_was_given() -> None:
    root = two_children()

    with pytest.raises(co.TreeError) as raised:
        root["a"] = co.Exec("true")
    assert f"/ already has a child 'a' (defined at {__file__}:" in str(raised.value)


def test_refused_attachment_changes_nothing() -> None:
    root, other = two_children(), co.Exec("true")

    with pytest.raises(co.TreeError):
        root["a"] = other
    assert other.parent is None
    assert list(root.children) == ["a", "p"]


def test_failing_block_shows_its_own_error() -> None:
    def fail_with_an_inner_block_open() -> None:
        with co.Serial():
            co.Parallel().__enter__()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_with_an_inner_block_open()


def test_block_after_a_failed_one_is_clean() -> None:
    with pytest.raises(co.TreeError):
        inner_block_left_open()

    with pytest.raises(ValueError, match="outside of a context manager"):
        co.Exec("x", name="a")
