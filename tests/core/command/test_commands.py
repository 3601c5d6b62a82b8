"""A command for a reader: where the image will have the files, as far as that is known."""

from __future__ import annotations

import pytest

from conducto.wire import paths
from conducto_core.command.text import as_defined
from conducto_core.images.model import ImageSpec
from conducto_core.run.model.states import NodeType
from conducto_core.tree.model import NodeSpec

SCRIPT = f"conducto {paths.token('/home/me/app/etl.py')} load --n=3"


def spec(command: str = SCRIPT) -> NodeSpec:
    return NodeSpec("/a", NodeType.EXEC, command=command)


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ({"copy_dir": "/home/me/app"}, "etl.py"),
        ({"copy_dir": "/home/me"}, "app/etl.py"),
        ({"copy_dir": "/home/me", "docker_auto_workdir": False}, "/mnt/conducto/app/etl.py"),
        ({"path_map": {"/home/me/app": "/srv"}}, "/srv/etl.py"),
        ({}, "/home/me/app/etl.py"),
        ({"copy_dir": "/elsewhere"}, "/home/me/app/etl.py"),
    ],
    ids=["copied", "below", "no workdir", "mapped", "nothing known", "not in it"],
)
def test_a_file_has_its_path_in_the_image(definition: dict[str, object], expected: str) -> None:
    image = ImageSpec.model_validate({"name": "i", "image": "python", **definition})

    assert as_defined(spec(), image) == f"conducto {expected} load --n=3"


def test_without_an_image_a_file_has_its_path_on_the_host() -> None:
    assert as_defined(spec(), None) == "conducto /home/me/app/etl.py load --n=3"


def test_other_commands_are_as_they_are_written() -> None:
    image = ImageSpec(name="i", image="python")

    assert as_defined(spec("echo $A '__conducto'"), image) == "echo $A '__conducto'"
