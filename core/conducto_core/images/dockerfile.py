"""The generated Dockerfile that installs the software of a definition."""

import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from conducto_core.images.model import CODE_DIR, ImageSpec, is_our_package
from conducto_core.run.model.records import ImageState

# ----------------------------------------------------------------------------------------
# Shell scripts that install software while an image is built.
#
# They are POSIX sh, because an image may have no other shell. They detect the distribution, so that
# one generated Dockerfile works for all. Their text is part of a layer's hash.


COMMON = r"""
set -eu

fail() {
    echo "$*" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

flavor() {
    for file in /etc/os-release /usr/lib/os-release; do
        if [ -r "$file" ]; then
            # A subshell: the file sets variables that may clash with the script's.
            ( . "$file"; echo "${ID:-unknown} ${ID_LIKE:-}" )
            return
        fi
    done
    echo unknown
}

manager() {
    for word in $(flavor); do
        case "$word" in
            debian|ubuntu) echo apt; return ;;
            alpine) echo apk; return ;;
            fedora) echo dnf; return ;;
            rhel|centos|rocky|almalinux|amzn)
                # Old releases only have yum.
                if has dnf; then echo dnf; else echo yum; fi
                return
                ;;
        esac
    done
    fail "Don't know how to install packages for linux_flavor=$(flavor | cut -d ' ' -f 1);" \
        "use a Debian, Ubuntu, Alpine, Fedora or RHEL image, or install them in a Dockerfile"
}

add() {
    manager=$(manager)
    echo "installing with $manager: $*"
    case "$manager" in
        apt)
            export DEBIAN_FRONTEND=noninteractive
            apt-get update -qq
            apt-get install -qq -y --no-install-recommends "$@"
            rm -rf /var/lib/apt/lists/*
            ;;
        apk) apk add --no-cache "$@" ;;
        dnf) dnf install -y -q "$@"; dnf clean -q all ;;
        yum) yum install -y -q "$@"; yum clean -q all ;;
    esac
}
"""

PACKAGES = r"""
. /conducto-install/common.sh
add "$@"
"""

DOCKER = r"""
. /conducto-install/common.sh
if has docker; then
    echo "a docker client is already installed: $(command -v docker)"
    exit 0
fi
case "$(manager)" in
    # Older Debians and Ubuntus have the client only together with the engine.
    apt) add docker-cli openssh-client || add docker.io openssh-client ;;
    apk) add docker-cli openssh-client ;;
    *) add docker-cli openssh-clients || add moby-engine openssh-clients ;;
esac
has docker || fail "this distribution packages no docker client; install one in a Dockerfile"
"""

PIP = r"""
. /conducto-install/common.sh
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_CACHE_DIR=1
wheel=$1
shift

find_python() {
    for name in python3 python python3.14 python3.13 python3.12 python3.11 python3.10 \
        python3.9 python3.8
    do
        if has "$name" && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 8))'; then
            command -v "$name"
            return
        fi
    done
    return 1
}

has_pip() {
    "$python" -m pip --version >/dev/null 2>&1
}

add_pip() {
    case "$(manager)" in
        apk) add python3 py3-pip ;;
        *) add python3 python3-pip ;;
    esac
}

if ! python=$(find_python); then
    echo "no Python 3.8 or later found"
    add_pip
    python=$(find_python) || fail "this distribution's Python is older than 3.8; use another image"
fi
has_pip || "$python" -m ensurepip >/dev/null 2>&1 || true
has_pip || add_pip
has_pip || fail "cannot install pip for $python; install it in a Dockerfile"

# PEP 668: the distribution owns this Python, but the image belongs to Conducto.
if "$python" -c 'import os, sys, sysconfig
marker = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
sys.exit(sys.prefix != sys.base_prefix or not os.path.exists(marker))'
then
    export PIP_BREAK_SYSTEM_PACKAGES=1
fi

if [ $# -gt 0 ]; then
    # Before 20.3, pip supports neither current wheels nor the current resolver.
    if ! "$python" -c 'import pip, sys
sys.exit(tuple(int(n) for n in pip.__version__.split(".")[:2]) < (20, 3))'
    then
        "$python" -m pip install --upgrade pip
    fi
    "$python" -m pip install "$@"
fi
if [ -n "$wheel" ]; then
    # From a file and without dependencies, so without a registry.
    "$python" -m pip install --no-index --no-deps --force-reinstall "$wheel"
fi
"""

NPM = r"""
. /conducto-install/common.sh
if ! has npm; then
    add nodejs npm
fi
mkdir -p /mnt/conducto
cd /mnt/conducto
npm install --no-audit --no-fund "$@"
"""


# ----------------------------------------------------------------------------------------
# A minimal reader of Dockerfiles: base images, and the requested frontend.


_DIRECTIVE = re.compile(r"^#\s*(\w+)\s*=\s*(.*?)\s*$")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?\})")
_HEREDOC = re.compile(r"<<-?[\"']?([A-Za-z_]\w*)[\"']?")
#: Frontends that the engine's own can replace.
_OFFICIAL_FRONTEND = re.compile(r"^(docker\.io/)?docker/dockerfile(:1(\.\d+)*)?$")
_UNRESOLVED = "\0"


def without_syntax(text: str) -> tuple[str, str | None]:
    """Return the Dockerfile without a ``syntax`` line for the official frontend, and its value.

    That line makes the engine fetch a frontend, which fails if the registry is unreachable,
    although the engine has the same frontend built in. The line is emptied, not removed, so that
    line numbers in messages stay correct.
    """
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        directive = _DIRECTIVE.match(line.rstrip("\r\n"))
        if directive is None:
            break
        is_syntax = directive[1].lower() == "syntax"
        if is_syntax and _OFFICIAL_FRONTEND.match(directive[2]):
            # A plain comment would end the block of directives and disable `escape` below.
            if number + 1 < len(lines) and _DIRECTIVE.match(lines[number + 1].rstrip("\r\n")):
                return "".join(lines[:number] + lines[number + 1 :]), directive[2]
            lines[number] = "\n"
            return "".join(lines), directive[2]
    return text, None


def base_references(text: str, build_args: Mapping[str, str]) -> tuple[str, ...]:
    """Return the base images of a Dockerfile, in order of first mention.

    These are the images of ``FROM`` and ``COPY --from``, without earlier stages, ``scratch``, and
    images that depend on an argument without a value.
    """
    known: dict[str, str] = {}
    stages: set[str] = {"scratch"}
    found: dict[str, None] = {}
    seen_from = False
    for words in _instructions(text):
        match words:
            case ["ARG", *pairs] if not seen_from:
                for pair in pairs:
                    name, _, default = pair.partition("=")
                    known[name] = build_args.get(name, _expand(default.strip("\"'"), known))
            case ["FROM", *rest]:
                seen_from = True
                plain = [word for word in rest if not word.startswith("--")]
                references = plain[:1]
                _record_stage(references, known, stages, found)
                if len(plain) == 3 and plain[1].lower() == "as":  # noqa: PLR2004
                    stages.add(plain[2].lower())
            case ["COPY", *rest]:
                sources = [word[7:] for word in rest if word.startswith("--from=")]
                _record_stage([one for one in sources if not one.isdigit()], known, stages, found)
            case _:
                pass  # runs inside the image
    return tuple(found)


def _record_stage(
    references: list[str], known: Mapping[str, str], stages: set[str], found: dict[str, None]
) -> None:
    for reference in references:
        value = _expand(reference, known)
        if value and _UNRESOLVED not in value and value.lower() not in stages:
            found[value] = None


def _expand(text: str, known: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        found = known.get(match[1] or match[2], "")
        return found or match[3] or _UNRESOLVED

    return _VARIABLE.sub(value, text)


def _instructions(text: str) -> list[list[str]]:
    joined = re.sub(r"[\\`][ \t]*\r?\n", " ", text)
    result = []
    open_heredocs: list[str] = []
    for line in joined.splitlines():
        if open_heredocs:
            if line.strip() == open_heredocs[0]:
                del open_heredocs[0]
            continue
        words = line.split()
        if words and not words[0].startswith("#"):
            result.append([words[0].upper(), *words[1:]])
            if words[0].upper() in ("RUN", "COPY", "ADD"):
                open_heredocs = [match[1] for match in _HEREDOC.finditer(line)]
    return result


# ----------------------------------------------------------------------------------------
# Names of layers: the same content has the same name, wherever it is built.


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
    lines = [f"FROM {base}", f"ARG {OWNER_ARG}=0", f"COPY --chown=${{{OWNER_ARG}}} . {CODE_DIR}"]
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
    files: dict[str, bytes] = {"common.sh": COMMON.encode()}
    lines = [f"FROM {base}"]
    if user:
        lines.append("USER root")
    if spec.install_packages:
        lines += _run(files, "packages.sh", PACKAGES, spec.install_packages)
    if spec.install_docker:
        lines += _run(files, "docker.sh", DOCKER, ())
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
        lines += _run(files, "pip.sh", PIP, ("", *others))
    if client is not None:
        name, content = client
        files["pip.sh"] = PIP.encode()
        files[name] = content
        command = shlex.join(["sh", f"{_FOLDER}/pip.sh", f"{_FOLDER}/{name}"])
        lines += [f"COPY common.sh pip.sh {name} {_FOLDER}/", f"RUN {command}"]
    return lines


def _npm(spec: ImageSpec, files: dict[str, bytes], npm_files: Mapping[str, bytes]) -> list[str]:
    if not isinstance(spec.install_npm, bool):
        return _run(files, "npm.sh", NPM, tuple(spec.install_npm))
    files.update({f"npm/{name}": content for name, content in npm_files.items()})
    return [f"COPY npm/ {CODE_DIR}/", *_run(files, "npm.sh", NPM, ())]


def install_hash(base_id: str, install: Install) -> str:
    """Return the name of the layer, from its base and its contents."""
    contents = {name: bytes_hash(content) for name, content in install.files.items()}
    return content_hash("installed", base_id, install.dockerfile, contents)
