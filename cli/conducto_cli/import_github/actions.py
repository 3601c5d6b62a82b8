"""Actions that steps use, and their counterparts."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

from conducto_cli.import_github.expressions import UntranslatedError

DATA = "/conducto/data/pipeline"
CACHE = "/conducto/data/user"
#: ``{action: (input with the version, image, its newest tag)}``
_LANGUAGES = {
    "actions/setup-python": ("python-version", "python", "3"),
    "actions/setup-node": ("node-version", "node", "lts"),
    "actions/setup-go": ("go-version", "golang", "1"),
    "ruby/setup-ruby": ("ruby-version", "ruby", "3"),
    "dtolnay/rust-toolchain": ("toolchain", "rust", "1"),
}
#: ``{value of the input cache, or path: (variable, directory)}``
_CACHES = {
    "pip": ("PIP_CACHE_DIR", "pip"),
    "npm": ("npm_config_cache", "npm"),
    "yarn": ("YARN_CACHE_FOLDER", "yarn"),
    "~/.cache/pip": ("PIP_CACHE_DIR", "pip"),
    "~/.npm": ("npm_config_cache", "npm"),
    "~/go/pkg/mod": ("GOMODCACHE", "go-mod"),
    "~/.cache/go-build": ("GOCACHE", "go-build"),
    "~/.cache/pre-commit": ("PRE_COMMIT_HOME", "pre-commit"),
    ".mypy_cache": ("MYPY_CACHE_DIR", "mypy"),
}
_PROPOSALS = {
    "codecov/": "run the program codecov; junit= shows the results of tests",
    "docker/": "use requires_docker=True, and the docker command",
    "golangci/": "run golangci-lint, in the image golangci/golangci-lint",
    "pre-commit/": "run pre-commit run --all-files",
    "pypa/gh-action-pypi-publish": "run twine upload dist/*, with a secret TWINE_PASSWORD",
    "slackapi/": "use conducto notify add NAME --slack CHANNEL",
    "softprops/": "run gh release create, with the secret GITHUB_TOKEN",
    "./": "write the steps of the action as commands",
    "docker://": "make it a node with that image",
}
_PACKAGE = re.compile(r"[A-Za-z0-9][\w.+-]*(?:\[[\w,]+\])?(?:[=<>~!]=?[\w.*]+)?")
#: Text that needs no quotes in a shell.
_PLAIN = re.compile(r"[\w.+@*?-]*")
_LONG = 76
_FLAGS = {"-y", "-q", "-qq", "-yq", "--yes", "-U", "--upgrade", "--no-install-recommends"}


@dataclass(slots=True)
class RunnerMachine:
    """The container of a job, as its actions set it up.

    Attributes:
        image: Its image, with the expressions of the workflow.
        code: Whether it has a copy of the repository.
        env: Variables, such as the directories of caches.
        packages: ``{parameter of co.Image: packages}``
    """

    image: str = ""
    code: bool = False
    env: dict[str, str] = field(default_factory=dict)
    packages: dict[str, list[str]] = field(default_factory=dict)


def apply(action: str, inputs: dict[str, str], machine: RunnerMachine) -> list[tuple[str, str]]:
    """Apply an action to the machine; return ``[(name, command)]`` of the nodes that it becomes.

    Raises:
        UntranslatedError: the action, or an input, has no counterpart.
    """
    name = action.partition("@")[0]
    if name == "actions/checkout":
        return _checkout(inputs, machine)
    if name in _LANGUAGES:
        _set_up(name, action, inputs, machine)
        return []
    if name in {"actions/cache", "actions/cache/restore", "actions/cache/save"}:
        return _cache(inputs, machine)
    if name == "actions/upload-artifact":
        return [(f"Keep {inputs.get('name', 'artifact')}", _upload(inputs))]
    if name == "actions/download-artifact":
        return [(f"Fetch {inputs.get('name', 'artifacts')}", _download(inputs))]
    proposals = [text for start, text in _PROPOSALS.items() if name.startswith(start)]
    proposal = proposals[0] if proposals else "write what it does as a command"
    raise UntranslatedError(f"the action {name}; {proposal}")


def _checkout(inputs: dict[str, str], machine: RunnerMachine) -> list[tuple[str, str]]:
    ref = inputs.get("ref")
    if "repository" in inputs:
        url = f"https://github.com/{inputs['repository']} {inputs.get('path', '.')}"
        branch = "" if ref is None else f"--branch {ref} "
        return [(f"Clone {inputs['repository']}", f"git clone --depth 1 {branch}{url}")]
    machine.code = True
    if ref is not None:
        raise UntranslatedError(f"checkout of {ref}; use co.Image(copy_url=…, copy_branch=…)")
    return []


def _set_up(name: str, action: str, inputs: dict[str, str], machine: RunnerMachine) -> None:
    key, image, newest = _LANGUAGES[name]
    version, *others = inputs.get(key, "").strip().split("\n")
    if name == "dtolnay/rust-toolchain" and not version:
        version = action.partition("@")[2]
    if machine.image:
        raise UntranslatedError(f"a second language in a container, {image}; make an image")
    machine.image = f"{image}:{version or newest}"
    if inputs.get("cache") in _CACHES:
        variable, folder = _CACHES[inputs["cache"]]
        machine.env[variable] = f"{CACHE}/{folder}"
    if others or f"{key}-file" in inputs:
        raise UntranslatedError(f"the version of {image}; write it as the tag of one image")


def tagged(image: str) -> str:
    """Return the image of a version in the words of an action, such as ``node:20.x``."""
    name, _, version = image.partition(":")
    if version.startswith("pypy"):
        name, version = "pypy", version[len("pypy") :].lstrip("-")
    tag = re.sub(r"^[v^~>=]+|^ubuntu-|\.[x*]|-dev$|/\*$|^(latest|stable|node|x)$", "", version)
    newest = {each: tag for _, each, tag in _LANGUAGES.values()}
    return f"{name}:{tag or newest.get(name, 'latest')}" if version else name


def _cache(inputs: dict[str, str], machine: RunnerMachine) -> list[tuple[str, str]]:
    found = []
    key = re.sub(r"\$\{\{\s*(runner|matrix)[.\w-]+\s*\}\}-?", "", inputs.get("key", "cache"))
    for path in inputs.get("path", "").strip().split("\n"):
        if path.removeprefix("./") in _CACHES:
            variable, folder = _CACHES[path.removeprefix("./")]
            machine.env[variable] = f"{CACHE}/{folder}"
            continue
        # A directory is restored as itself if the name of the cache is its name.
        words = f'{path.rstrip("/").rpartition("/")[2]} "{key}" {path}'
        found.append((f"Restore {path}", f"conducto-data-user restore-cache {words} || true"))
        found.append((f"Save {path}", f"conducto-data-user save-cache {words}"))
    return found


def _upload(inputs: dict[str, str]) -> str:
    target = _place(inputs.get("name", "artifact"))
    paths = inputs.get("path", "").strip().split("\n")
    if any(each.startswith("!") for each in paths):
        raise UntranslatedError("an artifact without some of its files; copy the others")
    return _copied(target, f"{' '.join(map(_content, paths))} {target}/")


def _place(name: str) -> str:
    """Return the directory of an artifact for a shell."""
    place = f"{DATA}/{name}".rstrip("/")
    return place if _PLAIN.fullmatch(re.sub(r"\$\{\{.*?\}\}", "", name)) else f'"{place}"'


def _copied(folder: str, words: str) -> str:
    command = f"mkdir -p {folder} && cp -r {words}"
    return command if len(command) <= _LONG else command.replace(" && ", "\n")


def _content(path: str) -> str:
    """Return a path for ``cp``: of a directory, the files in it are copied."""
    name = path.rstrip("/").rpartition("/")[2]
    is_file = "." in name.lstrip(".") or "*" in name
    return path if is_file else f"{path.rstrip('/')}/."


def _download(inputs: dict[str, str]) -> str:
    path = inputs.get("path", ".").rstrip("/")
    name = inputs.get("name", inputs.get("pattern"))
    words = f"{_place('' if name is None else name)}/. {path}"
    return f"cp -r {words}" if path == "." else _copied(path, words)


def without_install(script: str, machine: RunnerMachine) -> str:
    """Add the packages that the first lines of a script install; return the other lines."""
    lines = script.split("\n")
    for count in range(len(lines) - 1, 0, -1):
        first = "\n".join(lines[:count])
        is_whole = "install" in first and not first.endswith("\\")
        if is_whole and install(first, machine):
            return "\n".join(lines[count:])
    return script


def install(script: str, machine: RunnerMachine) -> bool:
    """Add the packages of a script to the image; return whether it does nothing but install."""
    found: dict[str, list[str]] = {}
    for line in re.split(r"\n|&&", script.replace("\\\n", " ")):
        try:
            words = shlex.split(re.sub(r"^\s*(sudo|python3? -m) ", "", line), comments=True)
        except ValueError:
            return False
        rest = [word for word in words[1:] if word not in _FLAGS]
        kind = {"apt": "install_packages", "apt-get": "install_packages", "pip": "install_pip"}.get(
            words[0] if words else ""
        )
        if words and (kind is None or rest[:1] not in (["install"], ["update"])):
            return False
        if kind == "install_pip" and not machine.image.startswith("python:"):
            return False
        if kind is not None:
            found.setdefault(kind, []).extend(word for word in rest[1:] if word != "pip")
    if not all(_PACKAGE.fullmatch(word) for words in found.values() for word in words):
        return False
    for kind, words in found.items():
        known = machine.packages.setdefault(kind, [])
        known += [word for word in words if word not in known]
    return True
