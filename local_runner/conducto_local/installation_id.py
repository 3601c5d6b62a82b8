"""The owner of the containers, networks and images on an engine.

Several state directories may share one engine: those of several users, of profiles, or of
containers that share the engine's socket and each have a state directory with the same path. So
each has a random mark, created once and kept in ``agent/identity``, which labels all its resources.
Crash recovery and ``gc`` touch only resources with this mark.

    a state directory that was moved    keeps its mark
    a state directory that was copied   gets a new mark: the resources belong to the original
    one of a version without marks      also owns resources with the mark of its path, by which
                                        these versions labelled them
"""

import json
import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from conducto_local.state_dir import StateDir

_FILE = "identity"
_MARK = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class InstallationId:
    """The marks of a state directory's resources.

    Attributes:
        mark: Mark of new resources.
        older: Mark of resources from an earlier version, or None.
    """

    mark: str
    older: str | None = None

    @property
    def marks(self) -> tuple[str, ...]:
        """Every mark of this state directory's resources."""
        return (self.mark,) if self.older is None else (self.mark, self.older)


def installation_id(home: StateDir) -> InstallationId:
    """Return the marks of a state directory; the first call creates them.

    Only the directory's agent calls this, and there is only one.

    Raises:
        OSError: The state directory cannot be created or written to.
    """
    kept = _read(home.agent)
    if kept is None:
        home.make()
        return _keep(home, InstallationId(_new(), path_mark(home) if home.store.exists() else None))
    identity, root = kept
    if root == home.root or _is_same(root, home.root):
        return identity
    original = _read(root / home.agent.name)
    is_copy = original is not None and original[0].mark == identity.mark
    return _keep(home, InstallationId(_new()) if is_copy else identity)


def _new() -> str:
    return secrets.token_hex(8)


def _is_same(one: Path, other: Path) -> bool:
    """Return whether two paths lead to the same directory, for example by a link."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def path_mark(home: StateDir) -> str:
    """Return the mark that versions without random marks used."""
    return sha256(str(home.root).encode()).hexdigest()[:16]


def _read(agent: Path) -> tuple[InstallationId, Path] | None:
    """Return the saved marks and the path of the state directory at that time, or None."""
    try:
        kept = json.loads((agent / _FILE).read_bytes())
        marks = (kept["mark"], kept["older"])
        root = Path(kept["root"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not all(isinstance(m, str) and _MARK.fullmatch(m) for m in marks if m is not None):
        return None
    return (InstallationId(*marks), root) if marks[0] is not None else None


def _keep(home: StateDir, identity: InstallationId) -> InstallationId:
    """Save the marks by replacing the file, so that readers never see a part; return them."""
    kept = {"mark": identity.mark, "older": identity.older, "root": str(home.root)}
    draft = home.agent / f"{_FILE}.{secrets.token_hex(4)}"
    draft.write_text(json.dumps(kept))
    draft.replace(home.agent / _FILE)
    return identity
