"""``docker_run_args`` that name host paths, made independent of who reads them.

``docker run -v ./x:/x`` means a directory beside whoever types it. A launch is carried out by the
agent, whose own directory says nothing, so a relative path is one beside the script that wrote it.
"""

# ruff: noqa: PTH111, PTH118
# pathlib is a heavy import.

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
