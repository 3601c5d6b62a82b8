"""Where the agent keeps its files.

    <base>/<profile>/                     0700: nobody else gets below it
        agent/                            state of the agent process, and the store
        data/                             data of the user, across pipelines
        pipelines/<id>/data/              data of one pipeline
        pipelines/<id>/logs/              output of its commands
        (`conducto_local.scheduling.attempt_logs`) pipelines/<id>/pipeline.json      its record and
        definition as launched, from which pipelines/<id>/definition.json.gz
        `conducto_local.repair` rebuilds a lost store

Which directory and which profile that is, `conducto.api` decides, for the command line and the
data tools as well. Data directories are open to every uid: a container's user is often one that
the host does not know. It reaches them through a mount, which does not pass by the closed
directory above, as other users of the host would have to.
"""

import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from conducto.api import paths
from conducto.api.config import current_profile
from conducto.files.trees import remove_tree, walk_files
from conducto_core.model.records import PipelineRecord

PRIVATE = 0o700
PRIVATE_FILE = 0o600
OPEN = 0o777
#: What directories of deleted pipelines are called; no pipeline's id begins with a dot.
_DISCARDED = ".discarded-"


class StateDirError(OSError):
    """A directory cannot be made; the message says which, why and what to do."""


@dataclass(frozen=True, slots=True)
class PipelineDir:
    """The directories of one pipeline.

    Attributes:
        root: Holds the others.
    """

    root: Path

    @property
    def data(self) -> Path:
        """Mounted as the pipeline's data in its containers."""
        return self.root / "data"

    @property
    def logs(self) -> Path:
        """Root of a `conducto_local.scheduling.attempt_logs.LogDirectory`."""
        return self.root / "logs"

    @property
    def record(self) -> Path:
        """The pipeline's record as launched, in JSON."""
        return self.root / "pipeline.json"

    @property
    def definition(self) -> Path:
        """The pipeline's definition as launched, as the store keeps it."""
        return self.root / "definition.json.gz"

    def keep(self, record: PipelineRecord, definition: bytes) -> None:
        """Write record and definition, from which a lost store is rebuilt.

        Raises:
            OSError: they cannot be written.
        """
        for path, content in (
            (self.definition, definition),
            (self.record, record.model_dump_json().encode()),
        ):
            draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
            draft.touch(PRIVATE_FILE)
            draft.write_bytes(content)
            draft.replace(path)

    def is_empty(self) -> bool:
        """Whether nothing was ever kept here: the launch ended before the pipeline began."""
        return next(walk_files(str(self.root)), None) is None


@dataclass(frozen=True, slots=True)
class StateDir:
    """The directories of one profile.

    Attributes:
        base: Absolute path of the directory that holds every profile.
        profile: Name of the profile, a plain file name.
    """

    base: Path
    profile: str

    @property
    def root(self) -> Path:
        """Everything of the profile."""
        return self.base / self.profile

    @property
    def agent(self) -> Path:
        """State of the agent process."""
        return self.root / "agent"

    @property
    def store(self) -> Path:
        """The file of the `conducto_local.store.sqlite.SqliteStore`."""
        return self.agent / "store.sqlite"

    @property
    def user_data(self) -> Path:
        """Mounted as the user's data in every container."""
        return self.root / "data"

    @property
    def pipelines(self) -> Path:
        """Holds a directory for each pipeline."""
        return self.root / "pipelines"

    def pipeline(self, pipeline_id: str) -> PipelineDir:
        """Return the directories of a pipeline, whether they are there or not.

        Raises:
            ValueError: ``pipeline_id`` is not a plain file name.
        """
        paths.pipeline_dir(self.profile, pipeline_id)  # for its check of the name
        return PipelineDir(self.pipelines / pipeline_id)

    def pipeline_ids(self) -> list[str]:
        """Return the ids of the pipelines that have a directory, in order."""
        try:
            found = sorted(path.name for path in self.pipelines.iterdir() if path.is_dir())
        except FileNotFoundError:
            return []
        return [name for name in found if not name.startswith(".")]

    def make(self) -> None:
        """Make what the agent needs before it has a pipeline; safe to call again.

        Raises:
            HomeError: a directory cannot be made.
        """
        _make(self.base, PRIVATE)
        _make(self.root, PRIVATE, repair=True)
        _make(self.agent, PRIVATE, repair=True)
        _make(self.pipelines, PRIVATE, repair=True)
        _make(self.user_data, OPEN, repair=True)

    def make_pipeline(self, pipeline_id: str) -> PipelineDir:
        """Make a pipeline's directories and return them; safe to call again.

        Raises:
            ValueError: ``pipeline_id`` is not a plain file name.
            HomeError: a directory cannot be made.
        """
        pipeline = self.pipeline(pipeline_id)
        self.make()
        _make(pipeline.root, PRIVATE, repair=True)
        _make(pipeline.logs, PRIVATE, repair=True)
        _make(pipeline.data, OPEN, repair=True)
        return pipeline

    def discard_pipeline(self, pipeline_id: str) -> Path | None:
        """Take a pipeline's directories, its data included, out of the way at once.

        Returns where they are then, None when there were none.

        Do it before the store's rows go: after a crash in between, whoever retries still knows of
        the pipeline. `erase` removes what is `discarded`.

        Raises:
            HomeError: they stay where they are.
        """
        root = self.pipeline(pipeline_id).root
        target = self.pipelines / f"{_DISCARDED}{pipeline_id}-{secrets.token_hex(4)}"
        try:
            root.rename(target)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateDirError(f"{root}: cannot be moved away ({error.strerror})") from error
        return target

    def discarded(self) -> list[Path]:
        """Return the directories of pipelines that were deleted and not yet erased."""
        return sorted(self.pipelines.glob(f"{_DISCARDED}*"))

    @staticmethod
    def erase(path: Path) -> bool:
        """Remove a directory; return whether nothing is left.

        Files that a container's root made stay where the agent is another user.
        """
        with suppress(OSError):
            remove_tree(str(path))
        return not os.path.lexists(path)


def open_state_dir(profile: str | None = None) -> StateDir:
    """Return the home of a profile, its own directory made; None is the profile in use.

    Raises:
        ValueError: ``profile`` is not a plain file name.
        HomeError: its directory cannot be made.
    """
    root = Path(paths.profile_dir(current_profile() if profile is None else profile))
    home = StateDir(root.parent, root.name)
    _make(home.base, PRIVATE)
    _make(home.root, PRIVATE, repair=True)
    return home


def _make(directory: Path, mode: int, *, repair: bool = False) -> None:
    """Make a directory; with ``repair``, give one that is there the mode as well."""
    try:
        made = _mkdir(directory, mode)
        found = directory.stat()
        differs = stat.S_IMODE(found.st_mode) != mode
        if (made or repair) and differs and os.geteuid() in (found.st_uid, 0):
            directory.chmod(mode)  # what mkdir takes is narrowed by the umask
    except OSError as error:
        raise StateDirError(
            f"{directory}: cannot be made a directory of ours ({error.strerror}). "
            "Set CONDUCTO_BASE_DIR to a directory that you may write to."
        ) from error


def _mkdir(directory: Path, mode: int) -> bool:
    if directory.is_dir():
        return False
    directory.mkdir(mode=mode, parents=True, exist_ok=True)
    return True
