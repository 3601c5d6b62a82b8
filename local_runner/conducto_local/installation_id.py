"""The owner of the containers, networks and images on an engine.

Several state directories may share one engine: those of several users, of profiles, or of
containers that share the engine's socket and each have a state directory with the same path. So
each has a random mark, created once and kept in ``agent/identity``, which labels all its resources.
Crash recovery and ``gc`` touch only resources with this mark.

    a state directory that was moved    keeps its mark
    a state directory that was copied   gets a new mark: the resources belong to the original
"""

import json
import re
import secrets
from pathlib import Path

from conducto_local.state_dir import StateDir

_FILE = "identity"
_MARK = re.compile(r"[0-9a-f]{16}")


def installation_id(home: StateDir) -> str:
    """Return the mark of a state directory's resources; the first call creates it.

    Only the directory's agent calls this, and there is only one.

    Raises:
        OSError: The state directory cannot be created or written to.
    """
    kept = _read(home.agent)
    if kept is None:
        home.make()
        return _keep(home, _new())
    mark, root = kept
    if root == home.root or _is_same(root, home.root):
        return mark
    original = _read(root / home.agent.name)
    is_copy = original is not None and original[0] == mark
    return _keep(home, _new() if is_copy else mark)


def _new() -> str:
    return secrets.token_hex(8)


def _is_same(one: Path, other: Path) -> bool:
    """Return whether two paths lead to the same directory, for example by a link."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _read(agent: Path) -> tuple[str, Path] | None:
    """Return the saved mark and the path of the state directory at that time, or None."""
    try:
        kept = json.loads((agent / _FILE).read_bytes())
        mark, root = kept["mark"], Path(kept["root"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (mark, root) if isinstance(mark, str) and _MARK.fullmatch(mark) else None


def _keep(home: StateDir, mark: str) -> str:
    """Save the mark by replacing the file, so that readers never see a part; return it."""
    draft = home.agent / f"{_FILE}.{secrets.token_hex(4)}"
    draft.write_text(json.dumps({"mark": mark, "root": str(home.root)}))
    draft.replace(home.agent / _FILE)
    return mark
