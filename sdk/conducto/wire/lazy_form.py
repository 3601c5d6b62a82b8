"""The launch form of trees from Lazies and of images: absolute paths, file contents for names.

``docker run -v ./x:/x`` means a directory relative to the user's. The agent executes a launch in
another directory, so a relative path is relative to the script that contains it.
"""

# ruff: noqa: B905, PLC0415, PTH109, PTH111, PTH118, PTH120, PTH123
# pathlib is a heavy import; imports wait until they are needed; zip(strict=) needs Python 3.10.

from __future__ import annotations

import os

from conducto.errors import DefinitionError
from conducto.wire import paths
from conducto.wire.maps import GIVEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping

    Record = Dict[str, Any]

_FLAGS = ("-v", "--volume")


def absolute(args: List[str], directory: str) -> List[str]:
    """Return ``docker run`` arguments with host paths of volumes made absolute."""
    made = []
    previous = ""
    for word in args:
        made.append(_word(word, previous, directory))
        previous = word
    return made


def _word(word: str, previous: str, directory: str) -> str:
    if previous in _FLAGS:
        return _volume(word, directory)
    for flag in ("--volume=", "-v=", "-v"):
        if word.startswith(flag) and word not in _FLAGS:
            return flag + _volume(word[len(flag) :], directory)
    return word


def _volume(value: str, directory: str) -> str:
    source, colon, rest = value.partition(":")
    if not colon or not source.startswith((".", "~")):
        return value  # a named volume, or already absolute
    # Not realpath: a link stays one.
    path = os.path.normpath(os.path.join(directory, os.path.expanduser(source)))
    return f"{path}{colon}{rest}"


def with_profiles(args: List[str], directory: str) -> List[str]:
    """Return ``args`` with the contents of the files of ``--security-opt seccomp=FILE``.

    ``docker run`` does the same: the engine cannot read files of its clients.

    Raises:
        ValueError: a file cannot be read, or is not a JSON object.
    """
    return [_with_profile(word, previous, directory) for previous, word in zip(["", *args], args)]


def _with_profile(word: str, previous: str, directory: str) -> str:
    flag = "--security-opt="
    prefix = flag if word.startswith(flag) else ""
    name, equals, value = word[len(prefix) :].partition("=")
    is_option = bool(prefix) or previous == "--security-opt"
    if not is_option or name != "seccomp" or value in ("unconfined", "builtin", ""):
        return word
    if value.startswith("{"):
        return word
    return f"{prefix}{name}{equals}{_profile(value, directory)}"


def _profile(file: str, directory: str) -> str:
    import json

    path = os.path.join(directory, os.path.expanduser(file))
    try:
        with open(path, encoding="utf-8") as stream:
            profile = json.load(stream)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"docker_run_args: --security-opt seccomp={file}: cannot read the profile {path!r}: "
            f"{error}"
        ) from error
    if not isinstance(profile, dict):
        raise ValueError(  # noqa: TRY004 (as the errors above)
            f"docker_run_args: --security-opt seccomp={file}: {path!r} is not a JSON object"
        )
    return json.dumps(profile, separators=(",", ":"))


#: Fields of an image's definition with a path.
PATH_FIELDS = ("dockerfile", "context", "copy_dir")


def decoded(form: Mapping[str, Any]) -> Dict[str, Any]:
    """Return a definition of the wire form with plain absolute paths for path objects."""
    plain = dict(form)
    for name in PATH_FIELDS:
        if isinstance(plain.get(name), dict):
            plain[name] = paths.decode(plain[name])
    if plain.get("path_map"):
        plain["path_map"] = {paths.decode(k): v for k, v in plain["path_map"].items()}
    return plain


def directory_of(record: Record) -> str:
    """Return the directory of the script that defines the node, on the launching host."""
    return os.path.dirname(record.get("file") or os.path.join(os.getcwd(), ""))


def place_volumes(records: List[Record]) -> None:
    """Make the host paths of all ``docker_run_args`` absolute, in place."""
    for record in records:
        args = record.get("docker_run_args")
        if args:
            record["docker_run_args"] = absolute(args, directory_of(record))


def from_wire_document(document: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the launch form of a tree that a Lazy's ``Generate`` printed.

    Returns:
        As `to_launch_form`, but the root has an image only if it defines one.

    Raises:
        DefinitionError: the command printed the reason why there is no tree.
    """
    if "error" in document:
        raise DefinitionError(str(document["error"]))
    records = [dict(record) for record in document["nodes"]]
    place_volumes(records)
    return {
        "nodes": records,
        "edges": list(document.get("edges") or ()),
        "images": {name: decoded(form) for name, form in (document.get("images") or {}).items()},
        "pipeline_reservation": document.get("pipeline_reservation"),
        **({GIVEN: True} if document.get(GIVEN) else {}),
    }
