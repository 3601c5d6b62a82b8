"""The files of a link: its epoch, its state for ``conducto agent status``, what the cloud knows."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_PRIVATE_FILE = 0o600
_PRIVATE = 0o700
#: Number of connections by which a person moves an identity back from a copy.
_TAKE_OVER = 1000


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """The state of a link.

    Attributes:
        state: ``connected``, ``connecting``, ``waiting`` for the next attempt, ``rejected`` by the
            installation, ``stopped`` until the machine is linked again, or ``closed`` since the
            agent stopped.
        since: In seconds since the epoch.
        problem: Why it is not connected, as a sentence.
        pid: The agent's process.
    """

    state: str
    since: float
    problem: str | None = None
    pid: int = 0


class LinkFiles:
    """The directory ``agent/link`` of a profile.

    Attributes:
        directory: Accessible to its owner only.
    """

    def __init__(self, agent_directory: Path) -> None:
        self.directory = agent_directory / "link"

    def next_epoch(self) -> int:
        """Return a higher number with each call, also after a restart or a crash."""
        found = self._read("epoch")
        epoch = (found if isinstance(found, int) else 0) + 1
        self._write("epoch", epoch)
        return epoch

    def take_over(self) -> None:
        """Make the next epoch higher than that of a copy of these files."""
        found = self._read("epoch")
        self._write("epoch", (found if isinstance(found, int) else 0) + _TAKE_OVER)

    def read_status(self) -> LinkStatus | None:
        """Return the state that the newest agent wrote."""
        found = self._read("status")
        try:
            return LinkStatus(**found)
        except TypeError:
            return None

    def write_status(self, status: LinkStatus) -> None:
        """Publish the state of the link."""
        self._write("status", asdict(status))

    def read_known(self) -> tuple[int, dict[str, str]]:
        """Return the cursor of the last acknowledged summaries, and ``{pipeline: digest}``."""
        found = self._read("known")
        try:
            return int(found["cursor"]), {str(k): str(v) for k, v in found["pipelines"].items()}
        except (TypeError, KeyError, ValueError, AttributeError):
            return 0, {}

    def write_known(self, cursor: int, pipelines: dict[str, str]) -> None:
        """Record what the cloud has acknowledged."""
        self._write("known", {"cursor": cursor, "pipelines": pipelines})

    def is_remote(self, pipeline: str) -> bool:
        """Return whether a pipeline, given by an id or a prefix of one, came through the link."""
        return any(one.startswith(pipeline) or pipeline.startswith(one) for one in self._remote())

    def note_remote(self, pipeline: str) -> None:
        """Record that a pipeline, given like that, was launched or changed through the link."""
        known = self._remote()
        if pipeline not in known:
            self._write("remote", [*known, pipeline])

    def remote_schedules(self) -> list[str]:
        """Return the names of the schedules that were created or changed through the link."""
        return self._words("schedules")

    def note_remote_schedule(self, name: str) -> None:
        """Record that a schedule was created or changed through the link."""
        known = self.remote_schedules()
        if name not in known:
            self._write("schedules", [*known, name])

    def forget(self) -> None:
        """Forget what the cloud knows and the state; the epoch and the origins are kept."""
        for name in ("status", "known"):
            (self.directory / name).unlink(missing_ok=True)

    def _remote(self) -> list[str]:
        return self._words("remote")

    def _words(self, name: str) -> list[str]:
        found = self._read(name)
        return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self.directory / name).read_bytes())
        except (OSError, ValueError):
            return None

    def _write(self, name: str, value: object) -> None:
        self.directory.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        draft = self.directory / f"{name}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
        with os.fdopen(descriptor, "w") as file:
            json.dump(value, file)
        draft.replace(self.directory / name)
