"""``docker_run_args`` that name files of the host, made independent of the machine's directories.

``docker run -v ./x:/x`` means a directory beside whoever types it. A launch is carried out by the
agent, whose own directory says nothing, so a relative path is one beside the script that wrote it.
"""

# ruff: noqa: B905, PLC0415, PTH111, PTH118, PTH123
# pathlib is a heavy import; imports wait until they are needed; zip(strict=) is of Python 3.10.

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

_FLAGS = ("-v", "--volume")


def absolute(args: List[str], directory: str) -> List[str]:
    """Return ``args`` with host paths such as ``./x`` and ``~/x`` of volumes made absolute.

    Args:
        args: Words for ``docker run``.
        directory: What relative paths are relative to.
    """
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
        return value  # a named volume, or absolute already
    # Not realpath: a link stays one.
    path = os.path.normpath(os.path.join(directory, os.path.expanduser(source)))
    return f"{path}{colon}{rest}"


def with_profiles(args: List[str], directory: str) -> List[str]:
    """Return ``args`` with the content of the files that ``--security-opt seccomp=FILE`` names.

    ``docker run`` does the same: the engine knows no file of its clients.

    Args:
        args: Words for ``docker run``.
        directory: What relative paths are relative to.

    Raises:
        ValueError: a file cannot be read, or is no JSON object.
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
