"""The generated Dockerfile that installs the software of a definition."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from conducto_core.images import layers, scripts
from conducto_core.model.images import CODE_DIR, ImageSpec, is_our_package

#: Files that ``npm install`` without names reads.
NPM_FILES = ("package.json", "package-lock.json", "npm-shrinkwrap.json", ".npmrc")
_FOLDER = "/conducto-install"


@dataclass(frozen=True, slots=True)
class Install:
    """A Dockerfile and the context it needs.

    Attributes:
        files: ``{path in the context: content}``.
    """

    dockerfile: str
    files: Mapping[str, bytes]


def wants_client(spec: ImageSpec) -> bool:
    """Return whether the conducto package is to be installed."""
    return any(map(is_our_package, spec.install_pip))


def plan_install(
    spec: ImageSpec,
    base: str,
    user: str,
    client: tuple[str, bytes] | None,
    npm_files: Mapping[str, bytes],
) -> Install:
    """Return the Dockerfile that installs the software of a definition.

    Args:
        spec: The definition; it has software to install.
        base: Reference of the image to install into.
        user: That image's user, restored at the end; empty is root.
        client: File name and bytes of Conducto's wheel, if `wants_client`.
        npm_files: Those of `NPM_FILES` that the code has, if ``install_npm`` is True.
    """
    files: dict[str, bytes] = {"common.sh": scripts.COMMON.encode()}
    lines = [f"FROM {base}"]
    if user:
        lines.append("USER root")
    if spec.install_packages:
        lines += _run(files, "packages.sh", scripts.PACKAGES, spec.install_packages)
    if spec.install_docker:
        lines += _run(files, "docker.sh", scripts.DOCKER, ())
    if spec.install_pip:
        lines += _pip(spec, files, client)
    if spec.install_npm:
        lines += _npm(spec, files, npm_files)
    if user:
        lines.append(f"USER {user}")
    return Install("\n".join(lines) + "\n", files)


def _run(files: dict[str, bytes], name: str, script: str, words: tuple[str, ...]) -> list[str]:
    files[name] = script.encode()
    command = shlex.join(["sh", f"{_FOLDER}/{name}", *words])
    return [f"COPY common.sh {name} {_FOLDER}/", f"RUN {_one_line(command)}"]


def _one_line(command: str) -> str:
    # A line break or a trailing backslash would end the instruction in the middle of a word.
    return command.replace("\n", " ").rstrip("\\")


def _pip(spec: ImageSpec, files: dict[str, bytes], client: tuple[str, bytes] | None) -> list[str]:
    others = tuple(sorted(one.strip() for one in spec.install_pip if not is_our_package(one)))
    lines = []
    # Separately, so that a new version of Conducto does not install the others again.
    if others:
        lines += _run(files, "pip.sh", scripts.PIP, ("", *others))
    if client is not None:
        name, content = client
        files["pip.sh"] = scripts.PIP.encode()
        files[name] = content
        command = shlex.join(["sh", f"{_FOLDER}/pip.sh", f"{_FOLDER}/{name}"])
        lines += [f"COPY common.sh pip.sh {name} {_FOLDER}/", f"RUN {command}"]
    return lines


def _npm(spec: ImageSpec, files: dict[str, bytes], npm_files: Mapping[str, bytes]) -> list[str]:
    if not isinstance(spec.install_npm, bool):
        return _run(files, "npm.sh", scripts.NPM, tuple(spec.install_npm))
    files.update({f"npm/{name}": content for name, content in npm_files.items()})
    return [f"COPY npm/ {CODE_DIR}/", *_run(files, "npm.sh", scripts.NPM, ())]


def install_hash(base_id: str, install: Install) -> str:
    """Return the name of the layer, from its base and its contents."""
    contents = {name: layers.bytes_hash(content) for name, content in install.files.items()}
    return layers.content_hash("installed", base_id, install.dockerfile, contents)
