"""Whose the containers, networks and images on an engine are.

One engine may serve several homes: of several users, of profiles, of containers that share the
engine's socket and each have a home of the same path. So each home has a random mark, made once and
kept in ``agent/identity``, which labels all that is made for it. Crash recovery and ``gc`` touch
what bears it and nothing else.

    a home that was moved     keeps its mark
    a home that was copied    gets a mark of its own: what is on the engine is the original's
    a home of a version that  has the mark of its path, by which these versions labelled, as its
    made no marks             older one: what bears that is its own as well
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
    """What a home's things are known by.

    Attributes:
        mark: On all that is made from now on.
        older: On what an earlier version made; None where there was none.
    """

    mark: str
    older: str | None = None

    @property
    def marks(self) -> tuple[str, ...]:
        """Every mark that says that something is this home's."""
        return (self.mark,) if self.older is None else (self.mark, self.older)


def installation_id(home: StateDir) -> InstallationId:
    """Return whose a home's things are; the first call for a home decides it.

    Only the home's agent asks, of which there is one.

    Raises:
        OSError: the home cannot be made or written to.
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
    """Whether two paths lead to one directory, e.g. by way of a link."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def path_mark(home: StateDir) -> str:
    """Return what versions that made no marks labelled a home's things with."""
    return sha256(str(home.root).encode()).hexdigest()[:16]


def _read(agent: Path) -> tuple[InstallationId, Path] | None:
    """Return what is kept, and the path of the home when it was; None if nothing useful is."""
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
    """Write it down, so that nobody reads half of it; return it."""
    kept = {"mark": identity.mark, "older": identity.older, "root": str(home.root)}
    draft = home.agent / f"{_FILE}.{secrets.token_hex(4)}"
    draft.write_text(json.dumps(kept))
    draft.replace(home.agent / _FILE)
    return identity
