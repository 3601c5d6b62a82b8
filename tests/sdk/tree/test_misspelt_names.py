"""Names that do not exist, and the parameter whose name is a method's."""

import subprocess
import sys
from pathlib import Path

import pytest

import conducto as co
from conducto.tree.validate import validate


def tree() -> co.Serial:
    root = co.Serial(image="busybox")
    root["train"] = co.Exec("true")
    root["test"] = co.Exec("true")
    return root


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("trian", "/ has no child 'trian'; did you mean 'train'?"),
        ("nope", "/ has no child 'nope'; it has 'train', 'test'"),
        ("train/x", "/train has no child 'x'; it has none"),
    ],
)
def test_missing_child_is_a_key_error_with_a_suggestion(path: str, message: str) -> None:
    root = tree()

    with pytest.raises(KeyError) as raised:
        root[path]

    assert str(raised.value) == message
    assert path not in root


def test_children_of_a_wide_group_are_not_all_listed() -> None:
    root = co.Parallel()
    for number in range(8):
        root[f"{number}"] = co.Exec("true")

    with pytest.raises(co.errors.NodeNotFoundError, match="it has '0', '1', '2', '3', '4' and 3 m"):
        root["nope"]


def test_misspelt_name_of_the_package_has_a_suggestion() -> None:
    with pytest.raises(AttributeError, match=r"'Serail'; did you mean 'Serial'\?"):
        co.Serail  # type: ignore[attr-defined] # noqa: B018


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("root.cup = 2", "'Serial' object has no attribute 'cup'; did you mean 'cpu'?"),
        ("root.cup", "'Serial' object has no attribute 'cup'; did you mean 'cpu'?"),
        ("co.Image('x').nam", "'Image' object has no attribute 'nam'; did you mean 'name'?"),
        ("[].appendd", "'list' object has no attribute 'appendd'"),
    ],
)
def test_misspelt_attribute_in_a_script_has_a_suggestion(
    tmp_path: Path, line: str, message: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import conducto as co\n"
        "def build() -> co.Serial:\n"
        "    root = co.Serial()\n"
        f"    {line}\n"
        "    return root\n"
        "co.main(default=build)\n"
    )

    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    # Python 3.13 adds the reason before the suggestion.
    error = done.stderr.replace(" and no __dict__ for setting new attributes", "")
    assert f"AttributeError: {message}" in error


def test_parameter_launch_can_be_set_later() -> None:
    root = tree()
    child = root["train"]
    child.launch = True  # type: ignore[method-assign, assignment]

    assert child.may_launch is True
    assert callable(child.launch)
    with pytest.raises(TypeError, match="launch must be True or False, got 1"):
        child.launch = 1  # type: ignore[method-assign, assignment]


def test_code_that_the_image_lacks_is_reported_once() -> None:
    root = co.Serial(image="busybox")
    for number in range(3):
        root[f"n{number}"] = co.Exec(test_parameter_launch_can_be_set_later)

    with pytest.raises(ValueError, match="Node references local code") as raised:
        validate(root, check_code=True)

    text = str(raised.value)
    assert text.count("does not contain") == 1
    assert "Node: /n0 and 2 more\n" in text
