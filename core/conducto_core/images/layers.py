"""Names of layers: the same content has the same name, wherever it is built."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Literal

from conducto_core.model.images import CODE_DIR, ImageSpec
from conducto_core.model.records import ImageState

Layer = Literal["built", "installed", "copied", "extended"]

#: Increase when the content of a layer changes although its definition does not.
RECIPE = 1

#: Labels of every image built here. Containers inherit them, hence a prefix of their own.
LABEL_LAYER = "com.conducto.image.layer"
LABEL_SHELL = "com.conducto.image.shell"

#: Argument of `copy_dockerfile`: ``user`` or ``user:group`` that owns the copied code.
OWNER_ARG = "CONDUCTO_OWNER"

#: Shells in order of preference, if the definition names none.
SHELLS = ("bash", "ash", "zsh", "sh")

#: ``CODE_DIR`` as a directory in a tar that is unpacked at the root.
CODE_PREFIX = CODE_DIR.lstrip("/") + "/"


def find_shell_script() -> str:
    """Return the script, for an image's ``/bin/sh``, that finds the image's shell."""
    return resources.files(__package__).joinpath("find_shell.sh").read_text("utf-8")


def content_hash(*parts: object) -> str:
    """Return 32 hex digits that identify ``parts`` (JSON values)."""
    text = json.dumps([RECIPE, *parts], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def bytes_hash(content: bytes) -> str:
    """Return the SHA-256 of a file's content in hex."""
    return hashlib.sha256(content).hexdigest()


def definition_hash(spec: ImageSpec) -> str:
    """Return the hash of a definition, ignoring its ``name``."""
    return content_hash(spec.model_dump(mode="json", exclude={"name"}))


def layer_tag(layer: Layer, digest: str) -> str:
    """Return the engine's tag of a layer."""
    return f"conducto_{layer}:{digest}"


def steps(spec: ImageSpec) -> tuple[ImageState, ...]:
    """Return the states of a build from scratch, in order."""
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
    """Return whether the definition installs software."""
    return any((spec.install_packages, spec.install_docker, spec.install_pip, spec.install_npm))


def copies_code(spec: ImageSpec) -> bool:
    """Return whether code is copied to ``CODE_DIR``."""
    return spec.copy_dir is not None or spec.copy_url is not None


def copy_dockerfile(spec: ImageSpec, base: str, env: Mapping[str, str]) -> str:
    """Return the copy layer as a Dockerfile.

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
    """Return the value of the variable ``ENTRYPOINT`` for a cleared entry point.

    A worker's first process is Conducto's, so an image's own entry point must not run; commands
    that call it can read it from the variable.
    """
    return json.dumps(list(entrypoint)) if entrypoint else None


def path_map(spec: ImageSpec) -> dict[str, str]:
    """Return ``{absolute host path: path in the container}`` of the image's code."""
    copied = {} if spec.copy_dir is None else {spec.copy_dir: CODE_DIR}
    return {**copied, **spec.path_map}
