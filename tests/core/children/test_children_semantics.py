"""The rules for pipelines that commands launch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto_core.children.rules import (
    MAX_CHILDREN,
    MAX_DEPTH,
    as_parent,
    check_count,
    check_depth,
    check_rights,
    child_form,
)
from conducto_core.errors import RefusedError
from conducto_core.images.model import CODE_DIR, ImageSpec
from conducto_core.run.model.records import ParentAttempt, PipelineRecord
from conducto_core.run.model.states import NodeType
from conducto_core.tree.model import NodeSpec, Placement
from conducto_core.tree.rules.resolve import resolve
from support.trees import form, leaf, serial

if TYPE_CHECKING:
    from conducto_core.tree.model import Pipeline

CODE = ImageSpec(name="code", image="python:3.11-slim", copy_dir="/home/ann/code")


def at_depth(depth: int) -> ParentAttempt:
    above = ParentAttempt(pipeline="above", path="/a", attempt=1, depth=depth - 1)
    record = PipelineRecord(id="me", title="me", parent=above if depth > 1 else None)
    return as_parent(record, "/a", 2)


def test_depth_is_that_of_the_pipeline_above_and_one() -> None:
    assert at_depth(1) == ParentAttempt(pipeline="me", path="/a", attempt=2, depth=1)
    assert at_depth(3).depth == 3


def test_limits_are_errors_that_name_them() -> None:
    check_depth(at_depth(MAX_DEPTH))
    check_count(at_depth(1), MAX_CHILDREN - 1)

    with pytest.raises(RefusedError, match="pipeline me is at depth 10, the maximum"):
        check_depth(at_depth(MAX_DEPTH + 1))
    with pytest.raises(RefusedError, match="attempt 2 has launched 1,000 pipelines, the maximum"):
        check_count(at_depth(1), MAX_CHILDREN)


def test_root_of_a_child_has_the_image_of_its_parent_unless_it_has_its_own() -> None:
    tree = co.Serial()
    tree["a"] = co.Exec("true")
    tree["b"] = co.Exec("true", image="busybox")
    launched = to_launch_form(tree)
    del launched["nodes"][0]["image_name"]
    written = {**launched, "images": {**launched["images"], "code": {"image": "bash"}}}

    child = resolve(child_form(written, CODE))

    used = child.images[child.nodes["/a"].placement.image]
    assert used == CODE.model_copy(update={"name": "code@parent"})
    assert child.images[child.nodes["/b"].placement.image].image == "busybox"
    assert child.images["code"].image == "bash"


def test_form_without_nodes_is_an_error() -> None:
    with pytest.raises(DefinitionError, match="it has no nodes"):
        child_form({"nodes": [], "images": {}}, CODE)


def child(image: dict[str, Any] | None = None, **params: Any) -> Pipeline:
    images = {"i": {"image": "busybox", **(image or {})}}
    return resolve(form(serial(leaf("a", **params), image_name="i"), images))


def parent(**placement: Any) -> NodeSpec:
    return NodeSpec("/p", NodeType.EXEC, placement=Placement("code", **placement))


@pytest.mark.parametrize(
    ("image", "params"),
    [
        ({"copy_dir": "/home/ann"}, {}),
        ({"copy_dir": "/home/ann/code/../secrets"}, {}),
        ({"copy_dir": "/home/ann/code/sub"}, {}),
        ({"copy_repo": True, "copy_dir": "/home/ann/code"}, {}),
        ({"copy_url": "/home/ann/private", "copy_branch": "main"}, {}),
        ({"image": None, "dockerfile_text": "FROM x", "context": "/"}, {}),
        ({"image": None, "dockerfile": "/etc/Dockerfile"}, {}),
        ({"path_map": {"/home/ann": "/host"}}, {}),
        ({"path_map": {"/home/ann/code/sub": "/host"}}, {}),
        ({"path_map": {"/home/ann/code": "/a", "/": "/host"}}, {}),
        ({}, {"requires_docker": True}),
        ({}, {"docker_run_args": ["--privileged"]}),
    ],
)
def test_child_gets_no_access_that_its_parent_lacks(
    image: dict[str, Any], params: dict[str, Any]
) -> None:
    with pytest.raises(DefinitionError, match="gets no access to the machine that the command's"):
        check_rights(child(image, **params), parent(), [CODE])


def test_child_may_have_the_access_of_its_parent() -> None:
    args = ["--cap-add=SYS_PTRACE"]
    tree = child(
        {"copy_dir": "/home/ann/code", "install_pip": ["x"]},
        requires_docker=True,
        docker_run_args=args,
    )

    check_rights(tree, parent(requires_docker=True, docker_run_args=tuple(args)), [CODE])
    check_rights(child(), parent(), [])
    mapped = {"/home/ann/code": "/elsewhere", CODE_DIR: CODE_DIR}
    check_rights(child({"path_map": mapped}), parent(), [CODE])
    check_rights(
        child({"path_map": mapped}), parent(), [ImageSpec(name="i", image="x", path_map=mapped)]
    )


@pytest.mark.parametrize(
    ("own", "installed"), [({}, True), ({"__env__CONDUCTO_LAUNCH": "0"}, False)]
)
def test_package_is_installed_in_images_of_commands_that_may_launch(
    own: dict[str, str], installed: bool
) -> None:
    tree = serial(leaf("a", **own), __env__CONDUCTO_LAUNCH="1")

    pipeline = resolve(form(tree))

    assert (pipeline.images["i"].install_pip == ("conducto",)) is installed
