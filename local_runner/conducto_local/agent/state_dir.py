"""The state directory of a profile, in which the agent keeps its files.

    <base>/<profile>/                     0700: nobody else gets below it
        agent/                            state of the agent process, and the store
        data/                             data of the user, across pipelines
        pipelines/<id>/data/              data of one pipeline
        pipelines/<id>/logs/              output of its commands
        pipelines/<id>/pipeline.json      its record and definition as launched, from which
        pipelines/<id>/definition.json.gz `conducto_local.agent.repair` rebuilds a lost store

`conducto.api` determines the base directory and the profile, also for the command line and the data
tools. Data directories are open to every uid, because a container's user is often unknown to the
host. Containers access them through a mount and do not need access to the closed parent directory;
other users of the host would.
"""

import json
import os
import re
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from conducto.api import paths
from conducto.api.config import current_profile
from conducto.files.trees import remove_tree, walk_files
from conducto_core.run.model.records import PipelineRecord

PRIVATE = 0o700
PRIVATE_FILE = 0o600
OPEN = 0o777
#: Prefix of the directories of deleted pipelines; no pipeline's id starts with a dot.
_DISCARDED = ".discarded-"


class StateDirError(OSError):
    """A directory cannot be created; the message has its path, the reason and the remedy."""


@dataclass(frozen=True, slots=True)
class PipelineDir:
    """The directories of one pipeline.

    Attributes:
        root: Parent of the others.
    """

    root: Path

    @property
    def data(self) -> Path:
        """Mounted as the pipeline's data in its containers."""
        return self.root / "data"

    @property
    def logs(self) -> Path:
        """Root of a `conducto_local.logs.store.LogDirectory`."""
        return self.root / "logs"

    def make_view(self) -> Path:
        """Create the directory of the files of one attempt of a cached command."""
        path = self.root / "views" / secrets.token_hex(8)
        path.mkdir(parents=True)
        path.chmod(OPEN)
        return path

    @property
    def record(self) -> Path:
        """The pipeline's record as launched, in JSON."""
        return self.root / "pipeline.json"

    @property
    def definition(self) -> Path:
        """The pipeline's definition as launched, in the format of the store."""
        return self.root / "definition.json.gz"

    def write_recovery(self, record: PipelineRecord, definition: bytes) -> None:
        """Write the record and the definition, from which a lost store is rebuilt.

        Raises:
            OSError: They cannot be written.
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
        """Return whether there are no files: the launch failed before the pipeline existed."""
        return next(walk_files(str(self.root)), None) is None


@dataclass(frozen=True, slots=True)
class StateDir:
    """The directories of one profile.

    Attributes:
        base: Absolute path of the directory with all profiles.
        profile: Name of the profile, a plain file name.
    """

    base: Path
    profile: str

    @property
    def root(self) -> Path:
        return self.base / self.profile

    @property
    def agent(self) -> Path:
        return self.root / "agent"

    @property
    def cache(self) -> Path:
        """Clones of repositories, and lists of files in images."""
        return self.agent / "cache"

    @property
    def contents(self) -> Path:
        """The contents of the files of cached commands."""
        return self.cache / "objects"

    @property
    def store(self) -> Path:
        """The file of the `conducto_local.store.sqlite.SqliteStore`."""
        return self.agent / "store.sqlite"

    @property
    def notification_rules(self) -> Path:
        """The file of the `conducto_local.notifications.store.RulesFile`."""
        return self.agent / "notification_rules.json"

    @property
    def quarantines(self) -> Path:
        """The file of the `conducto_local.test_results.store.QuarantineFile`."""
        return self.agent / "quarantines.json"

    @property
    def test_histories(self) -> Path:
        """The histories of tests, a file for each program."""
        return self.agent / "tests"

    @property
    def partition_states(self) -> Path:
        """The states of partitions, a file for each program."""
        return self.agent / "partitions"

    @property
    def user_data(self) -> Path:
        """Mounted as the user's data in every container."""
        return self.root / "data"

    @property
    def no_data(self) -> Path:
        """An empty directory, mounted as the data in the containers of cached commands."""
        return self.root / "no-data"

    @property
    def pipelines(self) -> Path:
        return self.root / "pipelines"

    def pipeline(self, pipeline_id: str) -> PipelineDir:
        """Return the directories of a pipeline, whether they exist or not.

        Raises:
            ValueError: ``pipeline_id`` is not a plain file name.
        """
        paths.pipeline_dir(self.profile, pipeline_id)  # checks the name
        return PipelineDir(self.pipelines / pipeline_id)

    def pipeline_ids(self) -> list[str]:
        """Return the sorted ids of the pipelines that have a directory."""
        try:
            found = sorted(path.name for path in self.pipelines.iterdir() if path.is_dir())
        except FileNotFoundError:
            return []
        return [name for name in found if not name.startswith(".")]

    def make(self) -> None:
        """Create the directories that the agent needs; safe to call again.

        Raises:
            StateDirError: A directory cannot be created.
        """
        _create_directory(self.base, PRIVATE)
        _create_directory(self.root, PRIVATE, repair=True)
        _create_directory(self.agent, PRIVATE, repair=True)
        _create_directory(self.pipelines, PRIVATE, repair=True)
        _create_directory(self.user_data, OPEN, repair=True)
        _create_directory(self.no_data, OPEN, repair=True)

    def make_pipeline(self, pipeline_id: str) -> PipelineDir:
        """Create and return a pipeline's directories; safe to call again."""
        pipeline = self.pipeline(pipeline_id)
        self.make()
        _create_directory(pipeline.root, PRIVATE, repair=True)
        _create_directory(pipeline.logs, PRIVATE, repair=True)
        _create_directory(pipeline.data, OPEN, repair=True)
        return pipeline

    def discard_pipeline(self, pipeline_id: str) -> Path | None:
        """Move a pipeline's directories, its data included, aside at once.

        Returns the new path, or None if there were none. Call it before deleting the store's rows:
        after a crash in between, a retry still knows the pipeline. `erase` removes the `discarded`
        directories.

        Raises:
            StateDirError: They cannot be moved.
        """
        root = self.pipeline(pipeline_id).root
        target = self.pipelines / f"{_DISCARDED}{pipeline_id}-{secrets.token_hex(4)}"
        try:
            root.rename(target)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateDirError(f"{root}: cannot be moved aside ({error.strerror})") from error
        return target

    def discarded(self) -> list[Path]:
        """Return the directories of deleted pipelines that are not erased yet."""
        return sorted(self.pipelines.glob(f"{_DISCARDED}*"))

    @staticmethod
    def erase(path: Path) -> bool:
        """Remove a directory; return whether it is completely removed.

        An agent that is not root cannot remove files that a container's root created.
        """
        with suppress(OSError):
            remove_tree(str(path))
        return not os.path.lexists(path)


def open_state_dir(profile: str | None = None) -> StateDir:
    """Return the state directory of a profile, created if necessary; None for the current one.

    Raises:
        ValueError: ``profile`` is not a plain file name.
        StateDirError: The directory cannot be created.
    """
    root = Path(paths.profile_dir(current_profile() if profile is None else profile))
    home = StateDir(root.parent, root.name)
    _create_directory(home.base, PRIVATE)
    _create_directory(home.root, PRIVATE, repair=True)
    return home


def _create_directory(directory: Path, mode: int, *, repair: bool = False) -> None:
    """Create a directory; with ``repair``, set the mode of an existing one as well."""
    try:
        made = _mkdir(directory, mode)
        found = directory.stat()
        differs = stat.S_IMODE(found.st_mode) != mode
        if (made or repair) and differs and os.geteuid() in (found.st_uid, 0):
            directory.chmod(mode)  # mkdir applies the umask
    except OSError as error:
        raise StateDirError(
            f"{directory}: cannot be created or made private ({error.strerror}). "
            "Set CONDUCTO_BASE_DIR to a directory that you may write to."
        ) from error


def _mkdir(directory: Path, mode: int) -> bool:
    if directory.is_dir():
        return False
    directory.mkdir(mode=mode, parents=True, exist_ok=True)
    return True


# ----------------------------------------------------------------------------------------
# Numbers and switches in the agent's environment.


class AgentSettingError(ValueError):
    """A variable of the agent has an invalid value; the message has its name and the remedy."""


def number_in(
    env: Mapping[str, str], name: str, *, default: float, meaning: str, or_zero: bool = False
) -> float:
    """Return the number in a variable, or ``default`` if it is unset or empty."""
    text = env.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if 0 < value < float("inf") or (or_zero and value == 0):
        return value
    raise AgentSettingError(f"{name} must be {meaning}, got {text!r}; correct it or unset it")


def switch_in(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Return whether a variable is ``on``, or ``default`` if it is unset or empty.

    Raises:
        AgentSettingError: It is neither ``on`` nor ``off``.
    """
    text = env.get(name, "")
    if not text:
        return default
    if text.lower() not in ("on", "off"):
        raise AgentSettingError(f"{name} must be on or off, got {text!r}; correct it or unset it")
    return text.lower() == "on"


# ----------------------------------------------------------------------------------------
# The owner of the containers, networks and images on an engine.
#
# Several state directories may share one engine: those of several users, of profiles, or of
# containers that share the engine's socket and each have a state directory with the same path. So
# each has a random mark, created once and kept in ``agent/identity``, which labels all its
# resources. Crash recovery and ``gc`` touch only resources with this mark.
#
#     a state directory that was moved    keeps its mark
#     a state directory that was copied   gets a new mark: the resources belong to the original


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
        return _save(home, _new())
    mark, root = kept
    if root == home.root or _is_same(root, home.root):
        return mark
    original = _read(root / home.agent.name)
    is_copy = original is not None and original[0] == mark
    return _save(home, _new() if is_copy else mark)


def _new() -> str:
    return secrets.token_hex(8)


def _is_same(one: Path, other: Path) -> bool:
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


def _save(home: StateDir, mark: str) -> str:
    """Save the mark by replacing the file, so that readers never see a part; return it."""
    draft = home.agent / f"{_FILE}.{secrets.token_hex(4)}"
    draft.write_text(json.dumps({"mark": mark, "root": str(home.root)}))
    draft.replace(home.agent / _FILE)
    return mark
