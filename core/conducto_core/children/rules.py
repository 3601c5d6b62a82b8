"""The rules for pipelines that commands launch: their depth, their images and their rights."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from conducto.wire.launching import LAUNCH
from conducto_core.errors import RefusedError, invalid
from conducto_core.images.model import CODE_DIR, ImageSpec
from conducto_core.run.model.records import ParentAttempt, PipelineRecord
from conducto_core.tree.model import NodeSpec, Pipeline

#: Maximum number of pipelines above a pipeline.
MAX_DEPTH: Final = 10
#: Maximum number of pipelines that one attempt launches.
MAX_CHILDREN: Final = 1000


def may_launch(node: NodeSpec) -> bool:
    """Return whether the command of a node may launch pipelines."""
    return node.env.get(LAUNCH) == "1"


def as_parent(record: PipelineRecord, path: str, attempt: int) -> ParentAttempt:
    """Return an attempt as the parent of the pipelines that it launches."""
    above = 0 if record.parent is None else record.parent.depth
    return ParentAttempt(pipeline=record.id, path=path, attempt=attempt, depth=above + 1)


def check_depth(parent: ParentAttempt) -> None:
    """Check that an attempt may launch a pipeline.

    Raises:
        RefusedError: there are too many pipelines above it.
    """
    if parent.depth > MAX_DEPTH:
        raise RefusedError(
            f"{parent.path}: pipeline {parent.pipeline} is at depth {MAX_DEPTH}, the maximum: it "
            "cannot launch a pipeline. Does a pipeline launch itself? Otherwise add the nodes to "
            "this one, with co.Lazy",
            parent.path,
        )


def check_count(parent: ParentAttempt, launched: int) -> None:
    """Check that an attempt may launch one more pipeline.

    Raises:
        RefusedError: it has launched too many.
    """
    if launched >= MAX_CHILDREN:
        raise RefusedError(
            f"{parent.path}: attempt {parent.attempt} has launched {launched:,} pipelines, the "
            "maximum; make one pipeline with a node for each",
            parent.path,
        )


def child_form(form: Mapping[str, Any], image: ImageSpec) -> dict[str, Any]:
    """Return the launch form of a child whose root runs in ``image`` unless it names another.

    Raises:
        DefinitionError: the form has no root.
    """
    records = form["nodes"]
    if not isinstance(records, list) or not records or not isinstance(records[0], Mapping):
        raise invalid(None, "not a serialised tree: it has no nodes")
    root, *rest = records
    images = dict(form["images"])
    if root.get("image_name") is None:
        name = _free_name(image.name, images)
        images[name] = {**image.model_dump(mode="json"), "copy_repo": image.copies_git}
        root = {**root, "image_name": name}
    return {**form, "nodes": [root, *rest], "images": images}


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name += "@parent"
    return name


def check_rights(child: Pipeline, parent: NodeSpec, known: Iterable[ImageSpec]) -> None:
    """Check that a child on a user's machine gets no access that its parent does not have.

    Args:
        child: The child, or a tree that a command of a child generates; resolved.
        parent: The node whose command launches or generates it.
        known: Images of the parent's pipeline.

    Raises:
        DefinitionError: it uses the engine, arguments for the engine, or files of the machine.
    """
    allowed = parent.placement
    for node in child.execs():
        wanted = node.placement
        if wanted.requires_docker and not allowed.requires_docker:
            raise _more(node.path, "requires_docker=True")
        if wanted.docker_run_args not in ((), allowed.docker_run_args):
            raise _more(node.path, f"docker_run_args={' '.join(wanted.docker_run_args)!r}")
    images = tuple(known)
    same = {files_of(image) for image in images}
    # A live debug shell mounts the directories. Only the same are allowed: those below them may be
    # links. `CODE_DIR` is in containers, where a clone that belongs to no directory is.
    mapped = {CODE_DIR, *(path for one in images for path in (one.copy_dir, *one.path_map))}
    for image in child.images.values():
        files = files_of(image)
        if any(files) and files not in same:
            raise _more(None, f"image {image.name!r}, whose files no image of the parent uses")
        for path in sorted(image.path_map.keys() - mapped):
            raise _more(
                None,
                f"image {image.name!r}, whose path_map has {path!r}, as no image of the parent",
            )


def files_of(image: ImageSpec) -> tuple[object, ...]:
    """Return the parameters that determine the files and repositories that an image reads.

    A command can name an image that reads files only if an image of its pipeline has all of these:
    comparing paths would miss links, ``.dockerignore`` and credentials for repositories.
    """
    return (
        image.dockerfile,
        image.dockerfile_text if image.context is not None else None,
        image.context,
        image.copy_dir,
        image.copy_url,
        image.copy_branch,
        image.copies_git,
        image.install_npm is True,
    )


def _more(path: str | None, what: str) -> Exception:
    return invalid(
        path,
        f"{what}: a pipeline that a command launches gets no access to the machine that the "
        "command's own node lacks; set it on that node, or leave it out",
    )
