"""Readers of the files that a definition names: Dockerfile, context, code."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from conducto_core.images import contexts
from conducto_core.images import dockerfile as dockerfiles
from conducto_core.images import dockerfile as install
from conducto_core.images.build_plan import FOREIGN, Clone, Sources
from conducto_core.images.contexts import Context, ContextError
from conducto_core.images.model import ImageSpec
from conducto_core.images.references import without_password


@dataclass(frozen=True, slots=True)
class DockerfileSource:
    """A Dockerfile with its context.

    Attributes:
        name: Its path in the context, which does not contain it.
        syntax: A ``syntax`` line that was removed.
    """

    shown: str
    text: str
    name: str
    context: Context
    syntax: str | None


def read_dockerfile(spec: ImageSpec) -> DockerfileSource:
    """Return the Dockerfile of a definition, with its context.

    Raises:
        ContextError: something is missing or cannot be read.
    """
    if spec.dockerfile is not None:
        shown = f"dockerfile {spec.dockerfile!r}"
        text = _text_of(spec.dockerfile)
    elif spec.dockerfile_text is not None:
        shown, text = "dockerfile_text", spec.dockerfile_text
    else:
        raise ContextError("no image, dockerfile or dockerfile_text; give Image() one of them")
    text, syntax = dockerfiles.without_syntax(text)
    root = spec.context
    if root is None and spec.dockerfile is not None:
        root = str(Path(spec.dockerfile).parent)
    if root is None:
        return DockerfileSource(shown, text, "Dockerfile", Context("", ()), syntax)
    ignore = contexts.read_ignore(root, spec.dockerfile)
    context = contexts.read_context(root, ignore)
    name = _name_in(context, spec.dockerfile)
    others = tuple(entry for entry in context.entries if entry.path != name)
    return DockerfileSource(shown, text, name, replace(context, entries=others), syntax)


def _name_in(context: Context, dockerfile: str | None) -> str:
    if dockerfile is not None:
        path = Path(dockerfile).resolve()
        if path.is_relative_to(context.root):
            return path.relative_to(context.root).as_posix()
    return FOREIGN


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ContextError(f"dockerfile {path!r} does not exist; check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ContextError(f"dockerfile {path!r} cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class Gathered:
    """The files on this machine that an image's build plan needs.

    Attributes:
        contexts: ``{content hash: directory}`` to upload if missing.
    """

    sources: Sources
    contexts: Mapping[str, Context]


def gather(
    spec: ImageSpec,
    heads: Callable[[str, str], str],
    commit_of: Callable[[str], str | None] = lambda _directory: None,
) -> Gathered:
    """Return the files that a definition names on this machine.

    Args:
        spec: The definition.
        heads: Returns the newest commit of a branch of a repository.
        commit_of: Returns the commit that is checked out in a directory, if any.

    Raises:
        ContextError: something is missing or cannot be read.
    """
    found: dict[str, Context] = {}
    told: dict[str, Any] = {}
    if spec.image is None:
        source = read_dockerfile(spec)
        told.update(dockerfile=source.text, dockerfile_name=source.name)
        if source.context.entries:
            told["context"] = _remark(found, source.context)
    if spec.copy_dir is not None:
        told["code"] = _remark(found, read_code(spec, spec.copy_dir))
        checked_out = commit_of(spec.copy_dir) if spec.copies_git else None
        if checked_out is not None:
            told["code_env"] = {"CONDUCTO_GIT_SHA": checked_out}
    if spec.copy_url is not None and spec.copy_branch is not None:
        commit = heads(spec.copy_url, spec.copy_branch)
        told["clone"] = Clone(spec.copy_url, spec.copy_branch, commit)
        told["code_env"] = {
            "CONDUCTO_GIT_URL": without_password(spec.copy_url),
            "CONDUCTO_GIT_BRANCH": spec.copy_branch,
            "CONDUCTO_GIT_SHA": commit,
        }
    if spec.install_npm is True:
        told["npm_files"] = read_npm_files(spec.copy_dir)
    return Gathered(Sources(**told), found)


def _remark(found: dict[str, Context], context: Context) -> str:
    digest = contexts.upload_hash(context)
    found[digest] = context
    return digest


def read_code(spec: ImageSpec, root: str) -> Context:
    """Return the part of the directory ``root`` that a definition copies.

    Raises:
        ContextError: it is missing or cannot be read.
    """
    ignore = contexts.read_ignore(root)
    if spec.copies_git:
        ignore = ignore.with_lines("!.git")
    if spec.install_npm:
        ignore = ignore.with_lines("node_modules")
    return contexts.read_context(root, ignore)


def read_npm_files(code: str | None) -> dict[str, bytes]:
    """Return the files that ``install_npm=True`` installs from.

    Raises:
        ContextError: there are none.
    """
    root = None if code is None else Path(code)
    if root is None or not (root / "package.json").is_file():
        raise ContextError(
            "install_npm=True installs what package.json names, but the copied code "
            f"({code!r}) has none; name the packages or copy the directory that has it"
        )
    names = (name for name in install.NPM_FILES if (root / name).is_file())
    return {name: (root / name).read_bytes() for name in names}
