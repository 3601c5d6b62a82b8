"""Paths of the user's files: here, on the launching host, and inside a node's container.

A command that names a local file contains a *token* in its place. While the tree is built it is
``__conducto_intermediate_path:<absolute path>:endpath__``; in the wire and launch forms it is
``__conducto_path:<JSON of a path object>:endpath__``. Just before a command runs or is printed,
`expand` replaces it by the path inside the container, quoted for a shell.
"""

# ruff: noqa: PLC0415, PTH112, PTH118, PTH120
# imports wait until they are needed; pathlib is a heavy import.

from __future__ import annotations

import os

from conducto.inspection import call_site
from conducto.wire import git_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple, Union

CODE_DIR = "/mnt/conducto"
DRAFT = "__conducto_intermediate_path:"
TOKEN = "__conducto_path:"  # noqa: S105 (of a path, not a secret)
END = ":endpath__"

# {name: absolute directory}, from Image.share_directory in this process.
shares: Dict[str, str] = {}


class Path:
    """A path with marks at the starts of git checkouts and named shares.

    Attributes:
        parts: Segments from the root down, each text, or a mark (``{"type": "git", ...}`` or
            ``{"type": "shared", "name": ...}``) after the last segment of the directory it marks.
    """

    __slots__ = ("parts",)

    def __init__(self, parts: List[Any]) -> None:
        self.parts = parts

    @classmethod
    def from_absolute(
        cls,
        path: str,
        *,
        marks: bool = True,
        branch: Optional[str] = None,
        url: Optional[str] = None,
    ) -> Path:
        """Return the path object of an absolute ``path`` on this machine.

        Args:
            path: Absolute path, here (inside a node: in the container).
            marks: Mark git checkouts and named shares.
            branch: Branch for a git mark instead of the one checked out.
            url: URL for a git mark instead of that of the remote ``origin``.
        """
        found = _marks(path, branch, url) if marks else {}
        parts: List[Any] = []
        here = ""
        for segment in to_host(path).split("/"):
            if segment:
                here += "/" + segment
                parts.append(segment)
                parts.extend(found.get(here, ()))
        return cls(parts)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Path:
        """Return the path object of a dict from ``to_dict``."""
        return cls(list(data["path"]))

    def to_dict(self) -> Dict[str, Any]:
        """Return ``{"pathsep": "/", "path": [segment or mark, ...]}``."""
        return {"pathsep": "/", "path": self.parts}

    def __str__(self) -> str:
        return "/" + "/".join(part for part in self.parts if isinstance(part, str))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Path) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(str(self))


def _marks(path: str, branch: Optional[str], url: Optional[str]) -> Dict[str, List[Any]]:
    found: Dict[str, List[Any]] = {}
    root = git_files.find_root(path if os.path.isdir(path) else os.path.dirname(path))
    if root is not None:
        mark = {
            "type": "git",
            "branch": git_files.branch(root) if branch is None else branch,
            "url": git_files.origin_url(root) if url is None else url,
        }
        found[to_host(root)] = [{k: v for k, v in mark.items() if v is not None}]
    for name, directory in shares.items():
        if inside(path, directory):
            found.setdefault(to_host(directory), []).append({"type": "shared", "name": name})
    return found


def inside(path: str, directory: str) -> bool:
    """Return whether ``path`` is ``directory`` or lies below it (both absolute)."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _path_map() -> Dict[str, str]:
    text = os.environ.get("CONDUCTO_PATH_MAP")
    if not text:
        return {}
    import json

    return {decode(key): value for key, value in json.loads(text).items()}


def to_host(path: str) -> str:
    """Return the path of ``path`` on the host that launched the pipeline.

    Inside a node ``CONDUCTO_PATH_MAP`` (JSON, ``{host path: container path}``, the keys plain or
    the JSON of a path object) has the mapping; elsewhere the path is returned unchanged.
    """
    best: Tuple[str, str] = ("", "")
    for host, here in _path_map().items():
        if inside(path, here) and len(here) > len(best[1]):
            best = host, here
    host, here = best
    return path if not here else (host.rstrip("/") + path[len(here.rstrip("/")) :]) or "/"


def decode(value: Union[str, Mapping[str, Any]]) -> str:
    """Return the absolute path of ``value``.

    ``value`` is a path, a path object, or the JSON text of one. Marks are left out.
    """
    if isinstance(value, str):
        if not value.startswith("{"):
            return value
        import json

        return decode(json.loads(value))
    return str(Path.from_dict(value))


def draft(path: str) -> str:
    """Return the token of an absolute ``path`` while the tree is being built."""
    return DRAFT + path + END


def token(path: str, *, marks: bool = True) -> str:
    """Return the token of an absolute ``path`` in the wire form."""
    import json

    return TOKEN + json.dumps(Path.from_absolute(path, marks=marks).to_dict()) + END


def relpath(path: str) -> str:
    """Return a text for commands that becomes ``path`` inside the container.

    Args:
        path: Path of a file on this machine, absolute or relative to the calling file.
    """
    full = os.path.normpath(os.path.join(call_site.caller_directory(), os.fspath(path)))
    return token(full, marks=False)


def _replace(text: str, start: str, change: Callable[[str], str]) -> str:
    chunks = text.split(start)
    out = [chunks[0]]
    for chunk in chunks[1:]:
        body, end, rest = chunk.partition(END)
        out.append(change(body) + rest if end else start + chunk)
    return "".join(out)


def finish(command: str) -> str:
    """Return ``command`` with draft tokens converted to those of the wire form."""
    return _replace(command, DRAFT, token) if DRAFT in command else command


def tokens(command: str) -> Iterator[str]:
    """Yield the absolute path of every token in ``command``, on the launching host."""
    for chunk in finish(command).split(TOKEN)[1:]:
        body, end, _ = chunk.partition(END)
        if end:
            yield decode(body)


def locate(path: str, path_map: Mapping[str, str], *, shorten: bool) -> Optional[str]:
    """Return the container path of the host's ``path``, or None if the image does not contain it.

    Args:
        path: Absolute path on the launching host.
        path_map: ``{absolute host path: path in the container}``; the longest match applies. A
            relative container path is relative to ``CODE_DIR``.
        shorten: Return a path below ``CODE_DIR`` relative to it, because commands start there.
    """
    hosts = [host for host in path_map if inside(path, host)]
    if not hosts:
        return None
    host = max(hosts, key=len)
    base = os.path.join(CODE_DIR, path_map[host])
    rest = path[len(host.rstrip("/")) :].lstrip("/")
    full = os.path.normpath(os.path.join(base, rest))
    if shorten and inside(full, CODE_DIR) and full != CODE_DIR:
        return full[len(CODE_DIR) + 1 :]
    return full


def expand(
    command: str, path_map: Mapping[str, str], *, shorten: bool, missing: Callable[[str], str]
) -> str:
    """Return ``command`` for a shell in the container.

    Args:
        command: Text with tokens.
        path_map: See `locate`.
        shorten: See `locate`.
        missing: Called with the host's path of a token that no entry of ``path_map`` contains;
            returns the replacement, or raises.
    """
    if END not in command:
        return command
    import shlex

    def place(body: str) -> str:
        path = decode(body)
        found = locate(path, path_map, shorten=shorten)
        return shlex.quote(missing(path) if found is None else found)

    return _replace(finish(command), TOKEN, place)
