"""References to results: their text in commands, and the rule on the order of nodes."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto.tree.references import ResultReference
from conducto_core.tree.rules.resolve import resolve


def train(depth: int = 3) -> float:
    return 1 / depth


def evaluate(model: float, name: str = "x") -> None:
    pass


def merge(models: list[float]) -> None:
    pass


def untyped(value, results=""):  # type: ignore[no-untyped-def]
    pass


def line(root: co.Node, path: str) -> str:
    """Return the command of a node in the launch form, without the file."""
    return resolve(to_launch_form(root)).nodes[path].command.partition(":endpath__ ")[2]


def serial(**children: co.Node) -> co.Serial:
    root = co.Serial(image=co.Image(copy_dir="."))
    for name, node in children.items():
        root[name] = node
    return root


def test_reference_is_the_path_of_its_node_once_the_tree_is_complete() -> None:
    step = co.Exec(train)
    inner = co.Serial()
    inner["it's"] = step
    root = serial(group=inner, evaluate=co.Exec(evaluate, step.result, name="y"))

    found = resolve(to_launch_form(root)).nodes["/evaluate"]

    assert line(root, "/evaluate") == ("evaluate '--model=<result of /group/it'\"'\"'s>' --name=y")
    assert found.results == ("/group/it's",)
    assert root["evaluate"].results == ("/group/it's",)
    assert "<result of" in root.pretty(strict=False)


def test_references_inside_a_list_are_json() -> None:
    a, b = co.Exec(train), co.Exec(train, 5)
    root = serial(a=a, b=b, merge=co.Exec(merge, [a.result, 0.5, b.result]))

    assert line(root, "/merge") == (
        """merge '--models=["<result of /a>", 0.5, "<result of /b>"]'"""
    )
    assert resolve(to_launch_form(root)).nodes["/merge"].results == ("/a", "/b")


def test_reference_by_path_is_the_same() -> None:
    root = serial(train=co.Exec(train), e=co.Exec(evaluate, co.result("/train")))

    assert line(root, "/e") == "evaluate '--model=<result of /train>'"


@pytest.mark.parametrize(
    "make",
    [
        lambda: co.Exec("true", results=["/train"]),
        lambda: co.Exec(train, results=["/train"]),
        lambda: co.Exec(train, params=co.Params(results=["/train"])),
        lambda: co.Exec("true", results=[ResultReference("/train"), "/train"]),
    ],
    ids=["command", "function", "params", "twice"],
)
def test_results_can_be_declared(make: Callable[[], co.Exec]) -> None:
    root = serial(train=co.Exec(train), use=make())

    assert resolve(to_launch_form(root)).nodes["/use"].results == ("/train",)
    assert co.Node.deserialize(root.serialize())["use"].results == ("/train",)


def test_parameter_of_the_function_called_results_is_an_argument() -> None:
    root = serial(a=co.Exec(untyped, "x", results="y"))

    assert root["a"].results == ()


@pytest.mark.parametrize("use", [bool, len, list, float, lambda r: r + 1])
def test_reference_cannot_be_used_as_a_value(use: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError, match="is not known while the tree is built"):
        use(co.Exec(train).result)


@pytest.mark.parametrize(
    ("results", "error", "reason"),
    [
        ("/train", TypeError, "results must be a list"),
        ([1], TypeError, "results must have paths or references, got 1"),
        (["train"], ValueError, "expected a path that starts with '/'"),
    ],
)
def test_invalid_results_are_rejected(results: Any, error: type, reason: str) -> None:
    with pytest.raises(error, match=reason):
        co.Exec("true", results=results)


def test_part_of_an_argument_without_a_json_form_is_rejected() -> None:
    with pytest.raises(TypeError, match="which has no JSON form"):
        co.Exec(untyped, [co.Exec(train).result, object()])


@dataclasses.dataclass
class Case:
    """A tree in which ``/b`` uses a result that may not exist."""

    root: co.Node
    reason: str


def _case(reason: str, group: Callable[..., Any], *, swap: bool = False, **params: Any) -> Case:
    root = group()
    names = ["b", "a"] if swap else ["a", "b"]
    for name in names:
        command = co.Exec("true", results=["/a"]) if name == "b" else co.Exec("true", **params)
        root[name] = command
    return Case(root, reason)


def _nested(reason: str, inner: co.Node, *, source: str = "/a/x", **params: Any) -> Case:
    root = co.Serial(**params)
    inner["x"] = co.Exec("true")
    root["a"] = inner
    root["b"] = co.Exec("true", results=[source])
    return Case(root, reason)


CASES = [
    _case("/ is a Parallel; put both into a Serial", co.Parallel),
    _case("comes after it in /; change their order", co.Serial, swap=True),
    _case("/ has stop_on_error=False", lambda: co.Serial(stop_on_error=False)),
    _case("does not run: /a has skip=True", co.Serial, skip=True),
    _case("/a has suppress_errors=True", co.Serial, suppress_errors=True),
    _nested("does not run: /a has skip=True", co.Parallel(skip=True)),
    _nested("/a has suppress_errors=True", co.Serial(suppress_errors=True)),
    _nested("which is a Parallel; only commands and maps have results", co.Parallel(), source="/a"),
    _nested("but the tree has no such node", co.Parallel(), source="/a/y"),
    _nested("uses its own result", co.Parallel(), source="/b"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason[:30])
def test_result_that_may_not_exist_is_rejected(case: Case) -> None:
    with pytest.raises(DefinitionError) as author:
        case.root.pretty()
    case.root.image = co.Image("busybox")
    with pytest.raises(Exception, match="uses") as service:
        resolve(to_launch_form(case.root))

    assert case.reason in str(author.value)
    assert case.reason in str(service.value)
    assert str(author.value).startswith("/b: uses ")


@pytest.mark.parametrize(
    "inner", [co.Parallel(), co.Serial(), co.Serial(stop_on_error=False)], ids=str
)
def test_result_below_a_group_certainly_exists(inner: co.Node) -> None:
    _nested("", inner).root.pretty()


def test_result_of_a_lazy_is_rejected() -> None:
    root = co.Serial()
    root["lazy"] = co.Lazy("print a tree")
    root["b"] = co.Exec("true", results=["/lazy/Generate"])

    with pytest.raises(DefinitionError, match="prints a tree; it has no result"):
        root.pretty()


def test_result_of_another_tree_is_rejected() -> None:
    other = co.Exec("true")
    root = serial(a=co.Exec("true"), b=co.Exec("true", results=[other.result]))

    with pytest.raises(DefinitionError, match="of another tree"):
        root.pretty()
