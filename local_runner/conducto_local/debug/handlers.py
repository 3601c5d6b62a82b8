"""The containers of debug shells: for an attempt, or for a node that never ran."""

import asyncio
import contextlib
import hashlib
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from conducto_core.command.environment import ExecutionContext
from conducto_core.command.text import CommandError
from conducto_core.debug.model import DebugMount, DebugPlan, DebugRequest
from conducto_core.debug.shell import (
    as_it_ran,
    check_subject,
    env_as_it_ran,
    is_ours,
    remains,
    script_text,
    tells_its_command,
)
from conducto_core.errors import RefusedError
from conducto_core.images.dockerfile import path_map
from conducto_core.images.model import ImageSpec
from conducto_core.run.handlers import chosen_attempt
from conducto_core.run.model.records import AttemptRecord
from conducto_core.tree.model import NodeSpec
from conducto_local.agent.state_dir import StateDir, installation_id
from conducto_local.debug.terminal import LABEL_DEBUG, LABEL_DEBUG_HOME
from conducto_local.engine.port import BuiltImage, WorkerSpec
from conducto_local.run.attempt_records import (
    LABEL_HOME,
    LABEL_PIPELINE,
    LABEL_PROFILE,
    worker_spec,
)
from conducto_local.run.command import prepare
from conducto_local.run.live_pipeline import ActiveAttempt, LivePipeline
from conducto_local.run.scheduler import Scheduler
from conducto_local.store.port import Store

WHERE = "debug_local"
#: Seconds that a request for a shell waits for an image build.
BUILD_TIMEOUT = 40.0
#: Seconds that the network of a finished pipeline is kept for a shell.
NETWORK_KEPT = 3600.0


@dataclass(frozen=True, slots=True)
class _Subject:
    """The node and attempt that a shell is requested for.

    Attributes:
        spec: The Exec as defined, or its remains if it is no longer in the tree.
        record: The attempt; None to use the definition.
        notes: Notes for the user.
    """

    live: LivePipeline
    spec: NodeSpec
    record: AttemptRecord | None
    notes: tuple[str, ...] = ()

    @property
    def number(self) -> int:
        """Number of the attempt; 1 for a node that never ran."""
        return 1 if self.record is None else self.record.number

    def active(self) -> ActiveAttempt:
        return ActiveAttempt(
            self.live, self.spec, self.number, self.spec.placement.mem, time.time()
        )

    @property
    def image_name(self) -> str:
        """Name of the pipeline's image that the attempt ran in, as far as it is known."""
        reference = None if self.record is None else self.record.image
        for name, image in self.live.images.items():
            if reference is not None and image.record.reference == reference:
                return name
        return self.spec.placement.image

    @property
    def image(self) -> ImageSpec | None:
        return self.live.pipeline.images.get(self.image_name)


class DebugContainers:
    """Plans the containers of debug shells."""

    def __init__(self, home: StateDir, store: Store, scheduler: Scheduler) -> None:
        self._home = home
        self._store = store
        self._scheduler = scheduler

    async def plan(self, live: LivePipeline, request: DebugRequest) -> DebugPlan:
        """Return the container of a shell; create its network and build its image if necessary.

        Raises:
            NotFoundError: The node or attempt does not exist.
            RefusedError: The shell is not possible; the message has the reason and the remedy.
            EngineError: The engine is unreachable.
        """
        if live.record.engine != "docker":
            raise RefusedError(
                f"{live.id}: runs as plain processes (--engine process), so there is no container "
                "to open; its commands run in a shell of this machine"
            )
        await self._scheduler.saved(wait=False)
        subject = self._subject(live, request)
        code = _code(subject) if request.live else ()
        subject, image = await self._image(subject, request)
        chosen = live.record.secret_set
        delivery = await self._scheduler.secrets.delivery(subject.spec.secrets, chosen)
        secrets = delivery.only(subject.spec.secrets).env
        script, env = _command(subject, image, self._execution_context(live))
        secrets = {name: value for name, value in secrets.items() if not is_ours(name)}
        container = worker_spec(subject.active(), image, self._home, "", await self._network(live))
        return DebugPlan(
            pipeline=live.id,
            path=subject.spec.path,
            attempt=None if subject.record is None else subject.record.number,
            script=script_text(image.shell, script),
            env={name: value for name, value in env.items() if name not in secrets},
            secrets={name: SecretStr(value) for name, value in secrets.items()},
            code=code,
            labels=self._labels(live),
            folder=str(self._home.pipeline(live.id).root / "debug"),
            notes=subject.notes,
            **_fields(container),
        )

    def _labels(self, live: LivePipeline) -> dict[str, str]:
        # Empty labels override those of the image, by which the agent would take the container for
        # its own.
        return {
            LABEL_DEBUG: live.id,
            LABEL_DEBUG_HOME: installation_id(self._home),
            LABEL_PROFILE: self._home.profile,
            LABEL_HOME: "",
            LABEL_PIPELINE: "",
        }

    def _execution_context(self, live: LivePipeline) -> ExecutionContext:
        return replace(self._scheduler.attempts.execution_context(live), where=WHERE)

    async def _network(self, live: LivePipeline) -> str:
        await self._scheduler.engine_context(live).open()
        name = await self._scheduler.networks.network(live)
        self._scheduler.cool_later(live, NETWORK_KEPT)
        return name

    async def _find(self, live: LivePipeline, reference: str) -> BuiltImage | None:
        return await (await self._scheduler.images.builder(live)).find(reference)

    async def _defined(self, live: LivePipeline, spec: NodeSpec) -> BuiltImage:
        """Return the image of a node as it is defined now; build it if necessary."""
        name = spec.placement.image
        built = self._scheduler.images.need(live, name).built
        if built is not None and await self._find(live, built.reference) is None:
            self._scheduler.images.forget(live, (spec.path,))  # it was removed from the engine
        image = self._scheduler.images.need(live, name)
        if image.built is None and image.task is not None:
            await asyncio.wait([image.task], timeout=BUILD_TIMEOUT)
        if image.built is not None:
            return image.built
        if image.record.error is not None:
            raise RefusedError(f"image {name}: {image.record.error}")
        raise RefusedError(
            f"image {name} is {image.record.state.value}; retry when it is built. Watch it with: "
            f"conducto logs {live.id} --image {name}"
        )

    def _subject(self, live: LivePipeline, request: DebugRequest) -> _Subject:
        node = live.tree.nodes.get(request.path)
        records = list(self._store.attempts(live.id, request.path))
        spec = None if node is None else node.spec
        check_subject(live.id, request.path, spec, tuple(records))
        record = chosen_attempt(request.path, records, request.attempt)
        if node is None:
            gone = f"{request.path} is no longer in the tree: its docker_run_args are unknown"
            return _Subject(live, remains(records[-1]), record, (gone,))
        return _Subject(live, as_it_ran(node.spec, record), record)

    async def _image(self, subject: _Subject, request: DebugRequest) -> tuple[_Subject, BuiltImage]:
        """Return the image of the shell, and the subject, with a note if its image was removed."""
        record = subject.record
        reference = None if record is None else record.image
        mapped = {} if subject.image is None else path_map(subject.image)
        if request.snapshot:
            found = await self._snapshot(subject)
            return subject, replace(found, path_map=mapped)
        if record is not None and reference is not None:
            kept = await self._find(subject.live, reference)
            if kept is not None:
                return subject, replace(kept, path_map=mapped)
            if request.attempt is not None:
                raise RefusedError(
                    f"{subject.spec.path}: the image of attempt {record.number}, {reference}, is "
                    "no longer on this machine; leave out --attempt to use the image as it is "
                    "defined now"
                )
            gone = f"the image of attempt {record.number} was removed; this is the current one"
            subject = replace(subject, notes=(*subject.notes, gone))
        if subject.spec.placement.image not in subject.live.pipeline.images:
            raise RefusedError(
                f"{subject.spec.path} is no longer in the tree, and neither is its image"
            )
        return subject, await self._defined(subject.live, subject.spec)

    async def _snapshot(self, subject: _Subject) -> BuiltImage:
        path, record = subject.spec.path, subject.record
        if record is None or record.snapshot is None:
            which = "it has not run" if record is None else f"attempt {record.number} has none"
            raise RefusedError(
                f"{path}: no snapshot: {which}. Snapshots are made after a failure, when the node "
                "has snapshot_on_error=True or the launch --snapshot-on-error; old ones are deleted"
            )
        found = await self._find(subject.live, record.snapshot)
        if found is None:
            raise RefusedError(
                f"{path}: the snapshot of attempt {record.number} was removed from the engine; "
                "leave out --snapshot, or reset the node to let it fail again"
            )
        return found


def _command(
    subject: _Subject, image: BuiltImage, around: ExecutionContext
) -> tuple[str, dict[str, str]]:
    """Return the script and the environment, without secrets."""
    spec, record = subject.spec, subject.record
    if record is None or not tells_its_command(record):
        try:
            job = prepare(subject.active(), image, around, {})
        except CommandError as error:
            raise RefusedError(str(error)) from error
        return job.script, dict(job.env)
    return record.command, env_as_it_ran(spec, record, around, dict(image.path_map))


def _code(subject: _Subject) -> tuple[DebugMount, ...]:
    path, image = subject.spec.path, subject.image
    mapped = {} if image is None else path_map(image)
    if not mapped:
        name = subject.image_name
        raise RefusedError(
            f"{path}: no live shell: image {name!r} has no copy_dir= or path_map=, so no directory "
            f"of this machine belongs to its code; use: conducto debug {subject.live.id} {path}"
        )
    for source in mapped:
        if not Path(source).exists():
            raise RefusedError(
                f"{path}: no live shell: {source!r}, the code of image {subject.image_name!r}, is "
                "not on this machine"
            )
    inner_last = sorted(mapped.items(), key=lambda item: item[1])
    return tuple(DebugMount(source=source, target=target) for source, target in inner_last)


def _fields(container: WorkerSpec) -> dict[str, Any]:
    return {
        "image": container.image,
        "shell": container.shell,
        "workdir": container.workdir,
        "cpu": container.cpu,
        "mem": container.mem,
        "gpu": container.gpu,
        "requires_docker": container.requires_docker,
        "docker_run_args": container.docker_run_args,
        "network": container.network,
        "data": tuple(
            DebugMount(source=m.source, target=m.target, read_only=m.read_only)
            for m in container.mounts
        ),
    }


# ----------------------------------------------------------------------------------------
# Host files that debug containers mount as the script of their command.


_FOLDER_MODE = 0o700
#: Any user of a container may read, run and change it; on the host, the directory protects it.
_MODE = 0o777


def lasting_script(plan: DebugPlan) -> Path:
    """Write the script to a file that is kept as long as the pipeline; return its path.

    The same command always gets the same file.

    Raises:
        OSError: The file cannot be written.
    """
    digest = hashlib.sha256(plan.script.encode()).hexdigest()[:16]
    return _write(plan, f"cmd-{digest}.sh")


@contextlib.contextmanager
def passing_script(plan: DebugPlan) -> Iterator[Path]:
    """Yield the path of a script file for one shell; delete it afterwards."""
    path = _write(plan, f"shell-{secrets.token_hex(8)}.sh")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def own_folder(pipeline_id: str) -> Path:
    """Return a directory of this user for the scripts of a pipeline that runs elsewhere."""
    folder = Path(tempfile.gettempdir()) / f"conducto-debug-{os.getuid()}"
    folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user; remove it, or set TMPDIR")
    return folder / pipeline_id


def _write(plan: DebugPlan, name: str) -> Path:
    folder = own_folder(plan.pipeline) if plan.folder is None else Path(plan.folder)
    folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    path = folder / name
    partial = folder / f".{name}.{os.getpid()}"
    partial.write_bytes(plan.script.encode("utf-8", "surrogateescape"))
    partial.chmod(_MODE)
    partial.replace(path)
    return path
