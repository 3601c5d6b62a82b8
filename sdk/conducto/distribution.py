"""Detects a distribution named ``conducto`` in this environment, which has the same files.

The package index has another publisher's client under that name. A checkout of this project from
before it had its own name was installed under it, too.
"""

# ruff: noqa: PTH120, PTH208, PLC0415
# Each script and command runs this: pathlib and importlib.metadata are heavy imports.

from __future__ import annotations

import os
import sys

from conducto.version import DISTRIBUTION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence

_NAME = "conducto"
_ENTRY_POINT = "conducto.tools.entry:main"


class Collision:
    """An installed distribution ``conducto``.

    Attributes:
        is_ours: Whether it is an older installation of this project.
        text: A sentence for the user.
        commands: Two commands that leave only our distribution.
    """

    def __init__(self, version: str, is_ours: bool, source: Optional[str]) -> None:
        self.is_ours = is_ours
        kind = "an older installation of this project" if is_ours else "another publisher's client"
        self.text = (
            f"the distribution '{_NAME}' {version} in this environment is {kind}, "
            f"and has the same files as {DISTRIBUTION}"
        )
        target = f"--editable {source}" if source else DISTRIBUTION
        self.commands = [
            f"pip uninstall --yes {_NAME}",
            f"pip install --force-reinstall --no-deps {target}",
        ]

    def message(self) -> str:
        """Return the sentence and the commands, as an error shows them."""
        return "\n".join([f"{self.text}; run:", *("  " + each for each in self.commands)])


def find_collision(folders: Optional[Sequence[str]] = None) -> Optional[Collision]:
    """Return the distribution ``conducto`` that is installed beside this package, if there is one.

    Args:
        folders: Directories to search; by default the directory of this package and this
            environment's. A distribution elsewhere on the path has its own files.
    """
    found = _folder_with_distribution(_folders() if folders is None else folders)
    if found is None:
        return None
    from importlib import metadata

    for each in metadata.distributions(name=_NAME, path=[found]):
        return Collision(each.version, _is_ours(each), _checkout(each))
    return None


def foreign() -> Optional[str]:
    """Return the error message if the distribution is another publisher's."""
    collision = find_collision()
    return None if collision is None or collision.is_ours else collision.message()


def _folders() -> List[str]:
    own = os.path.dirname(os.path.dirname(__file__))
    return [own, *(each for each in sys.path if each.startswith(sys.prefix))]


def _folder_with_distribution(folders: Sequence[str]) -> Optional[str]:
    for folder in folders:
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            if name.lower().startswith(_NAME + "-") and name.endswith((".dist-info", ".egg-info")):
                return folder
    return None


def _is_ours(distribution: object) -> bool:
    read = distribution.read_text  # type: ignore[attr-defined]
    return _ENTRY_POINT in (read("entry_points.txt") or "")


def _checkout(distribution: object) -> Optional[str]:
    """Return the directory of an editable installation, quoted for a shell."""
    import json

    text = distribution.read_text("direct_url.json")  # type: ignore[attr-defined]
    record = json.loads(text) if text else {}
    if not record.get("dir_info", {}).get("editable"):
        return None
    import shlex
    from urllib.parse import unquote, urlsplit

    return shlex.quote(unquote(urlsplit(record["url"]).path))
