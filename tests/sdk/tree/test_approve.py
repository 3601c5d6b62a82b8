"""`co.Approve` in the author API."""

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto.tree.validate import validate
from conducto.wire.approvals import Field, check_approval, check_values, to_wire
from conducto_core.tree.model import Approval
from conducto_core.tree.rules.resolve import resolve


def tree(**params: object) -> co.Serial:
    root = co.Serial(image="busybox")
    root["ask"] = co.Approve("Release?", **params)  # type: ignore[arg-type]
    root["release"] = co.Exec("true")
    return root


def test_an_approval_is_printed_with_its_message() -> None:
    assert "ask   approval: Release?" in tree().pretty()


def test_an_approval_reaches_the_runner_as_written() -> None:
    spec = resolve(to_launch_form(tree(who="admin", timeout="1h"))).nodes["/ask"]

    assert spec.approval == Approval("Release?", ("admin",))
    assert spec.max_time == 3600
    assert spec.command == ""


def test_an_approval_comes_back_from_its_serialized_form() -> None:
    copied = co.Node.deserialize(tree(who=["anna"], timeout=60).serialize())

    assert copied["ask"].describe()["approval"] == {"message": "Release?", "who": ["anna"]}
    assert copied.pretty() == tree().pretty()


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"who": [7]}, "who must be text"),
        ({"who": [""]}, "who='' is neither a role"),
        ({"who": []}, "who= is an empty list; name a role"),
        ({"who": ()}, "who= is an empty list"),
        ({"who": 7}, "who=7 is not a role"),
        ({"who": ["viewer"]}, "decides nothing"),
    ],
)
def test_invalid_deciders_are_refused_where_they_are_written(params, said) -> None:
    with pytest.raises(ValueError, match=said):
        tree(**params)


def test_a_parameter_of_commands_is_refused() -> None:
    with pytest.raises(TypeError, match="runs no command, so it has no parameter 'cpu'"):
        co.Approve("Release?", cpu=2)


@pytest.mark.parametrize("message", ["", "  ", "a\x1b[31m", "x" * 2001])
def test_an_invalid_message_is_refused(message) -> None:
    with pytest.raises(ValueError, match="message"):
        co.Approve(message)


def test_an_approval_in_a_kept_container_is_refused_when_the_tree_is_printed() -> None:
    root = co.Serial(image="busybox", container_reuse_context=co.ContainerReuseContext.NEW)
    root["inner"] = co.Serial()
    root["inner"]["ask"] = co.Approve("Release?")

    with pytest.raises(DefinitionError, match="/inner/ask: an approval cannot be inside /"):
        root.pretty()


@pytest.mark.parametrize(
    ("timeout", "said"),
    [
        ("2 weeks", "^timeout is an invalid duration: '2 weeks'"),
        ("2x", "^timeout has an unknown unit 'x'"),
        (0, "^timeout must be above 0"),
        ([1], "^timeout must be seconds or a text"),
    ],
)
def test_an_invalid_timeout_is_refused_where_it_is_written(timeout, said) -> None:
    with pytest.raises(ValueError, match=said):
        tree(timeout=timeout)


def test_an_approval_without_deciders_reaches_the_runner() -> None:
    spec = resolve(to_launch_form(tree())).nodes["/ask"]

    assert spec.approval == Approval("Release?", ())


FIELDS = {"version": str, "canary": 10, "share": float, "dry": True, "region": ["eu", "us"]}


def test_a_form_reaches_the_runner_with_types_defaults_and_choices() -> None:
    form = to_launch_form(tree(fields=FIELDS))

    approval = resolve(form).nodes["/ask"].approval

    assert approval is not None
    assert approval.fields == (
        Field("version"),
        Field("canary", "integer", (), 10),
        Field("share", "number"),
        Field("dry", "boolean", (), True),
        Field("region", "choice", ("eu", "us")),
    )


def test_a_form_comes_back_from_its_serialized_form() -> None:
    copied = co.Node.deserialize(tree(fields=FIELDS).serialize())

    assert copied["ask"].approval == tree(fields=FIELDS)["ask"].approval  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("version", "is not a dict such as"),
        ({"a b": str}, "'a b' of the approval has no valid name"),
        ({"x": object}, "has the type <class 'object'>; write str, int, float or bool"),
        ({"x": []}, "'x' of the approval has no choices"),
        ({"x": ["a"] * 51}, "must be a list of at most 50 texts"),
        ({"x": [""]}, "the choice '' of 'x' must have 1 to 200"),
        ({"x": float("nan")}, "x=nan is not valid; give a number"),
        ({f"x{n}": str for n in range(21)}, "has 21 fields; the maximum is 20"),
    ],
)
def test_an_invalid_form_is_refused_where_it_is_written(fields, said) -> None:
    with pytest.raises(ValueError, match=said):
        co.Approve("Release?", fields=fields)


def test_a_node_uses_the_values_of_a_form_and_not_of_a_plain_approval() -> None:
    root = tree(fields={"version": str})
    root["release"].results = [root["ask"]]  # type: ignore[attr-defined]
    validate(root, check_images=False)
    plain = tree()
    plain["release"].results = [plain["ask"]]  # type: ignore[attr-defined]

    with pytest.raises(DefinitionError, match="/ask, which is an approval without a form"):
        validate(plain, check_images=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"version": "2"}, "share has no value; give a number"),
        ({"version": "2", "share": "a", "region": "eu"}, "share='a' is not valid; give a number"),
        ({"version": "2", "share": 1, "region": "asia"}, "region='asia' is not valid; give one of"),
        ({"version": 2, "share": 1, "region": "eu"}, "version=2 is not valid; give a text"),
        ({"version": "2", "share": True, "region": "eu"}, "share=True is not valid"),
        ({"version": "2", "share": 1, "region": "eu", "dry": "maybe"}, "give true or false"),
        ({"version": "2", "share": 1, "region": "eu", "canary": 1.5}, "give a whole number"),
        ({"version": "2", "share": "inf", "region": "eu"}, "share='inf' is not valid"),
        ({"version": "a\x00", "share": 1, "region": "eu"}, "version="),
        ({"speed": "1"}, "has no field 'speed'; its fields are version, canary"),
    ],
)
def test_values_that_do_not_fit_the_form_are_refused(given, said) -> None:
    form = check_approval({"message": "?", "fields": to_wire(FIELDS)})[2]

    with pytest.raises(ValueError, match=said):
        check_values(form, given)


def test_texts_are_read_as_values_and_defaults_complete_them() -> None:
    form = check_approval({"message": "?", "fields": to_wire(FIELDS)})[2]

    values = check_values(form, {"version": "2.1", "share": "0.5", "region": "us", "dry": "False"})

    assert values == {"version": "2.1", "canary": 10, "share": 0.5, "dry": False, "region": "us"}
