"""The contents of a debug shell, on both targets."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from conducto.integrations import slack
from conducto_core.command.environment import ExecutionContext, command_env
from conducto_core.command.masking import MASK
from conducto_core.errors import RefusedError, no_node
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.states import NodeType
from conducto_core.tree.model import NodeSpec, Placement

_HIDDEN = MASK.decode()
#: Options that keep an interactive shell from reading files that a pipeline's shell does not read.
_PLAIN: Mapping[str, Sequence[str]] = {"bash": ("--norc",), "zsh": ("-f",)}


def shell_argv(shell: str) -> list[str]:
    """Return the command line of an interactive shell with the environment of a pipeline's."""
    return [shell, *_PLAIN.get(PurePosixPath(shell).name, ())]


def script_text(shell: str, command: str) -> str:
    """Return a script file in the format of the command server."""
    return f"#!{shell}\n{command}\n"


def check_subject(
    pipeline_id: str, path: str, spec: NodeSpec | None, records: tuple[AttemptRecord, ...]
) -> None:
    """Check that a shell is possible for a node.

    Raises:
        NotFoundError: there is no such node, and never was.
        RefusedError: it runs no command.
    """
    if spec is None and not records:
        raise no_node(pipeline_id, path)
    if spec is not None and spec.type is not NodeType.EXEC:
        raise RefusedError(
            f"{path}: is a {spec.type.value}, which runs no command of its own; "
            "name one of the Execs below it",
            path,
        )


def remains(record: AttemptRecord) -> NodeSpec:
    """Return the definition of a deleted Exec, as far as an attempt records it."""
    spec = NodeSpec(record.path, NodeType.EXEC, command=record.command, env=record.env)
    return as_it_ran(replace(spec, placement=Placement("")), record)


def as_it_ran(spec: NodeSpec, record: AttemptRecord | None) -> NodeSpec:
    """Return an Exec with the sizes of an attempt."""
    if record is None:
        return spec
    cpu = spec.placement.cpu if record.cpu is None else record.cpu
    mem = spec.placement.mem if record.mem is None else record.mem
    return replace(spec, placement=replace(spec.placement, cpu=cpu, mem=mem))


def tells_its_command(record: AttemptRecord | None) -> bool:
    """Return whether a record has the command as it ran.

    It does not if the attempt never started, or if the command itself contains a secret.
    """
    return record is not None and record.image is not None and _HIDDEN not in record.command


def env_as_it_ran(
    spec: NodeSpec, record: AttemptRecord, around: ExecutionContext, path_map: dict[str, str]
) -> dict[str, str]:
    """Return the environment of an attempt, without secrets."""
    hidden = {name for name, value in record.env.items() if _HIDDEN in value}
    known = {name: spec.env[name] for name in hidden if name in spec.env}
    return command_env(
        {**record.env, **known}, around, path=record.path, attempt=record.number, path_map=path_map
    )


def is_ours(name: str) -> bool:
    """Return whether Conducto sets a variable, so that no secret may replace it.

    The address of Slack is not one of them: it is delivered, and hidden, with the secrets.
    """
    mine = name.startswith("CONDUCTO_") and name != slack.URL_VARIABLE
    return mine or name == "__RUN_BY_WORKER__"
