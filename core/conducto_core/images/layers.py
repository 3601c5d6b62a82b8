"""Names of layers: the same content has the same name, wherever it is built."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Literal

from conducto_core.model.images import CODE_DIR, ImageSpec
from conducto_core.model.records import ImageState

Layer = Literal["built", "installed", "copied", "extended"]

#: Raise when what a layer holds changes although its definition does not.
RECIPE = 1

#: Labels of every image made here. Containers inherit them, hence their own prefix.
LABEL_LAYER = "com.conducto.image.layer"
LABEL_SHELL = "com.conducto.image.shell"

#: Argument of `copy_dockerfile`: ``user`` or ``user:group`` that owns the copied code.
OWNER_ARG = "CONDUCTO_OWNER"

#: Shells in the order of preference when the definition names none.
SHELLS = ("bash", "ash", "zsh", "sh")

#: ``CODE_DIR`` as a directory inside a tar that is unpacked at the root.
CODE_PREFIX = CODE_DIR.lstrip("/") + "/"


def find_shell_script() -> str:
    """Return the script that finds an image's shell when ``/bin/sh`` in it runs it."""
    return resources.files(__package__).joinpath("find_shell.sh").read_text("utf-8")


def content_hash(*parts: object) -> str:
    """Return 32 hex digits that name what ``parts`` (JSON values) say."""
    text = json.dumps([RECIPE, *parts], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def bytes_hash(content: bytes) -> str:
    """Return the SHA-256 of a file's content in hex."""
    return hashlib.sha256(content).hexdigest()


def definition_hash(spec: ImageSpec) -> str:
    """Return a name for the definition; two that differ only in ``name`` share it."""
    return content_hash(spec.model_dump(mode="json", exclude={"name"}))


def layer_tag(layer: Layer, digest: str) -> str:
    """Return what the engine knows a layer by."""
    return f"conducto_{layer}:{digest}"


def steps(spec: ImageSpec) -> tuple[ImageState, ...]:
    """Return the states that a build from nothing passes, in their order."""
    wanted = {
        ImageState.CLONING: spec.copy_url is not None,
        ImageState.PULLING: spec.image is not None,
        ImageState.BUILDING: spec.image is None,
        ImageState.INSTALLING: bool(installs(spec)),
        ImageState.COPYING: copies_code(spec),
        ImageState.EXTENDING: True,
    }
    middle = [state for state, is_wanted in wanted.items() if is_wanted]
    return (ImageState.QUEUED, *middle, ImageState.DONE)


def installs(spec: ImageSpec) -> bool:
    """Return whether the definition adds software of its own."""
    return any((spec.install_packages, spec.install_docker, spec.install_pip, spec.install_npm))


def copies_code(spec: ImageSpec) -> bool:
    """Return whether code is copied to ``CODE_DIR``."""
    return spec.copy_dir is not None or spec.copy_url is not None


def copy_dockerfile(spec: ImageSpec, base: str, env: Mapping[str, str]) -> str:
    """Return the copy layer as a Dockerfile, for builders that know nothing else.

    The user of the image below owns the copy; `OWNER_ARG` names it.
    """
    lines = [
        f"FROM {base}",
        f"ARG {OWNER_ARG}=0",
        f"COPY --chown=${{{OWNER_ARG}}} . {CODE_DIR}",
    ]
    if spec.docker_auto_workdir:
        lines.append(f"WORKDIR {CODE_DIR}")
    lines += [f"ENV {name}={json.dumps(value)}" for name, value in sorted(env.items())]
    return "\n".join(lines) + "\n"


def saved_entrypoint(entrypoint: Sequence[str] | None) -> str | None:
    """Return what the variable ``ENTRYPOINT`` keeps of a cleared entry point.

    A worker's first process is ours, so an image's own entry point must not run; its text stays
    readable to commands that want to call it.
    """
    return json.dumps(list(entrypoint)) if entrypoint else None


def path_map(spec: ImageSpec) -> dict[str, str]:
    """Return ``{absolute host path: path in the container}`` of the code the image holds."""
    copied = {} if spec.copy_dir is None else {spec.copy_dir: CODE_DIR}
    return {**copied, **spec.path_map}
