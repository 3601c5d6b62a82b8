"""Plans of debug shells."""

from collections.abc import Callable
from typing import NamedTuple

from pydantic import SecretStr

from chalicelib.people.port import Identity
from chalicelib.run.model import BuiltImage
from chalicelib.run.processor import CommandProcessor
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.run.store import JournalStore
from chalicelib.secrets.injection import inject
from chalicelib.secrets.references import SecretPorts
from conducto_core.command.environment import ExecutionContext, command_env
from conducto_core.command.text import CommandError, script_of
from conducto_core.debug.model import DebugPlan, DebugRequest
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
from conducto_core.run.handlers import chosen_attempt
from conducto_core.run.model.records import AttemptRecord, ForeignChange, ImageState
from conducto_core.secrets.rules import check_shell
from conducto_core.tree.model import NodeSpec

#: Exists in every image; used where no shell was detected.
_ANY_SHELL = "/bin/sh"
#: Means "not on a worker" to `conducto.data`: the pipeline's data is not mounted.
WHERE = "debug_cloud"
#: Means "on a worker": the pipeline's data is mounted.
WHERE_REMOTE = "worker_cloud"
_LOCAL_NOTE = (
    "the pipeline's data is in the cloud, not in this container; fetch files with: "
    "conducto data get {} NAME"
)
_CHANGED_NOTE = (
    "{} changed this pipeline, and this shell has your secrets: read the script before you run it"
)
_REMOTE_NOTE = "AWS opens the shell as root, regardless of the image's user"
#: ``CONDUCTO_OUTER_OWNER``: the EFS access point maps every user to this one.
OUTER_OWNER = "0:0"


class _Subject(NamedTuple):
    """The subject of a debug shell; ``record`` is None for a node without an attempt."""

    owner: str
    foreign_change: ForeignChange | None
    spec: NodeSpec
    record: AttemptRecord | None
    image: BuiltImage
    notes: tuple[str, ...]
    secret_set: str = ""


class _UserPlans:
    """Creates plans for one user; ``remote``: the shell opens on a worker, with the data."""

    def __init__(
        self, secrets: SecretPorts, url: Callable[[], str], me: Identity, *, remote: bool = False
    ) -> None:
        self._secrets = secrets
        self._url = url
        self._me = me
        self._remote = remote
        self._where = WHERE_REMOTE if remote else WHERE

    def plan(self, pipeline_id: str, subject: _Subject) -> DebugPlan:
        """Return the plan of a shell; raises `RefusedError`."""
        spec, record, image = subject.spec, subject.record, subject.image
        script, env = self._command(pipeline_id, subject)
        # The caller's own: a shell must not expose the secrets of another user.
        given = inject(
            self._secrets.vault,
            self._me.org,
            self._me.user,
            self._secrets.services,
            subject.secret_set,
        )
        try:
            found = self._secrets.references.resolve(self._me.org, given.only(spec.secrets)).env
        except CommandError as error:
            raise RefusedError(f"{spec.path}: {error}") from error
        secrets = {name: value for name, value in found.items() if not is_ours(name)}
        shell = image.shell or _ANY_SHELL
        return DebugPlan(
            pipeline=pipeline_id,
            path=spec.path,
            attempt=None if record is None else record.number,
            image=str(image.reference),
            pull=True,
            shell=shell,
            script=script_text(shell, script),
            env={name: value for name, value in env.items() if name not in secrets},
            secrets={name: SecretStr(value) for name, value in secrets.items()},
            workdir=image.workdir,
            cpu=spec.placement.cpu,
            mem=spec.placement.mem,
            arch=spec.placement.arch,
            notes=(*subject.notes, *self._notes(pipeline_id, subject)),
        )

    def _notes(self, pipeline_id: str, subject: _Subject) -> tuple[str, ...]:
        first = _REMOTE_NOTE if self._remote else _LOCAL_NOTE.format(pipeline_id)
        foreign = subject.foreign_change
        if subject.owner == self._me.user:
            return (first,) if foreign is None else (first, _CHANGED_NOTE.format(foreign.by))
        what = "secrets and user data are" if self._remote else "secrets are"
        commands = "no user's" if foreign is not None else f"those of {subject.owner}"
        whose = f"{what} yours and the organisation's; commands have {commands}"
        return (first, whose)

    def _command(self, pipeline_id: str, subject: _Subject) -> tuple[str, dict[str, str]]:
        spec, record, image = subject.spec, subject.record, subject.image
        around = ExecutionContext(pipeline_id, self._url(), where=self._where, owner=OUTER_OWNER)
        if record is not None and tells_its_command(record):
            return record.command, env_as_it_ran(spec, record, around, image.path_map)
        try:
            script = script_of(spec, image.path_map, image.workdir)
        except CommandError as error:
            raise RefusedError(str(error)) from error
        number = 1 if record is None else record.number
        env = command_env(spec.env, around, path=spec.path, attempt=number, path_map=image.path_map)
        return script, env


class DebugPlans:
    """Plans the shells of all users."""

    def __init__(
        self,
        engine: CommandProcessor,
        store: JournalStore,
        secrets: SecretPorts,
        url: Callable[[], str],
    ) -> None:
        self._engine = engine
        self._store = store
        self._secrets = secrets
        self._url = url

    def plan(
        self, me: Identity, pipeline_id: str, request: DebugRequest, *, remote: bool = False
    ) -> DebugPlan:
        """Return the plan of a shell on the caller's machine, or on a worker.

        Raises:
            NotFoundError: The pipeline, node or attempt does not exist.
            RefusedError: A shell is not possible.
        """
        with self._engine.reading(me.org, pipeline_id) as live:
            stored = self._store.attempts(pipeline_id, request.path)
            records = tuple(live.with_running(stored, (request.path,)))
            check_shell(live.record)
            subject = _subject(live, request, records)
        return _UserPlans(self._secrets, self._url, me, remote=remote).plan(pipeline_id, subject)


def _subject(
    live: CloudPipeline, request: DebugRequest, records: tuple[AttemptRecord, ...]
) -> _Subject:
    node = live.tree.nodes.get(request.path)
    spec = None if node is None else node.spec
    check_subject(live.id, request.path, spec, records)
    record = chosen_attempt(request.path, records, request.attempt)
    notes: tuple[str, ...] = ()
    if spec is None:
        spec = remains(records[-1])
        notes = (f"{request.path} is no longer in the tree",)
    image = _image(live, spec, record)
    owner, foreign = live.record.owner, live.record.foreign_change
    chosen = live.record.secret_set
    return _Subject(owner, foreign, as_it_ran(spec, record), record, image, notes, chosen)


def _image(live: CloudPipeline, spec: NodeSpec, record: AttemptRecord | None) -> BuiltImage:
    """Return the image of an attempt, or the node's current image; raises `RefusedError`."""
    reference = None if record is None else record.image
    there = [i.built for i in live.images.values() if i.built is not None and i.built.reference]
    for built in there:
        if reference is not None and built.reference == reference:
            return built
    name = spec.placement.image
    now = live.images.get(name)
    if reference is not None:  # it was rebuilt since; the registry keeps the old image
        known = now.built if now is not None and now.built is not None else None
        if known is not None:
            return known.model_copy(update={"reference": reference})
        return BuiltImage(name=name, state=ImageState.DONE, reference=reference)
    if now is None or now.built is None or now.built.reference is None:
        state = "missing" if now is None else now.record.state.value
        raise RefusedError(
            f"{spec.path}: image {name!r} is {state}; retry when it is built. Watch it with: "
            f"conducto logs {live.id} --image {name}"
        )
    return now.built
