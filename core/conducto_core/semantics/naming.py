"""Names: of nodes inside a state machine, of pools, of state machines and of what is at AWS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from string import ascii_letters, digits
from typing import Final

from conducto_core.model.deployment import NAME_PREFIX, made_prefix
from conducto_core.model.nodes import NodeSpec
from conducto_core.semantics.pools import PoolKind, kind_of

#: Characters of a name that AWS takes, and of a digest in one that has room for so many.
_MOST_NAME = 80
_DIGEST = 40
_LETTERS = ascii_letters
_LETTERS_AND_DIGITS = ascii_letters + digits
_ID_LENGTH = 9
#: Ends a run's name in that of a machine.
_RUN_END = "_"


def node_id(path: str) -> str:
    """Return the id of the node at ``path``: nine letters and digits, a letter first.

    A function of the path alone, so that two launches of the same tree give the same
    definitions, and so that a generated tree needs no counter to go on from. 53 bits: among
    100,000 nodes two are alike with a probability below one in a million.
    """
    number = int.from_bytes(blake2b(path.encode(), digest_size=8).digest(), "big")
    number, first = divmod(number, len(_LETTERS))
    text = _LETTERS[first]
    for _ in range(_ID_LENGTH - 1):
        number, digit = divmod(number, len(_LETTERS_AND_DIGITS))
        text += _LETTERS_AND_DIGITS[digit]
    return text


def pool_name(spec: NodeSpec, pipeline_id: str = "", groups: Sequence[str] = ()) -> str:
    """Return the name of the pool whose workers run an Exec; `Site` knows its activity's.

    Args:
        spec: The Exec, with the memory that it is to get.
        pipeline_id: Workers, and the data they see, belong to one pipeline.
        groups: Paths of the groups above whose ``max_concurrent`` it counts in: a worker that
            waits for room in one must not keep others of its pool waiting.
    """
    place = spec.placement
    # One container serves a context, whatever its members ask for.
    fields = () if kind_of(spec.pool) is PoolKind.CONTEXT else _fields(spec)
    text = repr((spec.pool, place.image, *fields, pipeline_id, *groups))
    return NAME_PREFIX + blake2b(text.encode(), digest_size=6).hexdigest()


def _fields(spec: NodeSpec) -> tuple[object, ...]:
    place = spec.placement
    return place.cpu, place.mem, place.gpu, place.requires_docker, place.docker_run_args


def execution_input(run_id: str) -> Mapping[str, object]:
    """Return the input that every execution of a compiled machine must be started with.

    ``r`` names the run; ``e``, ``p`` and ``g`` are where the machine notes failed children, the
    outcome of the last Parallel, and the machines that were generated.
    """
    return {"r": run_id, "e": {}, "p": {}, "g": {}}


@dataclass(frozen=True, slots=True)
class Site:
    """Where state machines and activities are.

    Attributes:
        region: AWS region.
        account: AWS account, twelve digits.
        partition: ``aws``, or that of China or of a government.
        stage: Of the installation whose they are; empty where there is none, and machines are only
            looked at.
    """

    region: str
    account: str
    partition: str = "aws"
    stage: str = ""

    @property
    def prefix(self) -> str:
        """How the names of all of them begin."""
        return made_prefix(self.stage) if self.stage else NAME_PREFIX

    def activity(self, spec: NodeSpec) -> str:
        """Return the ARN of the activity that the workers of an Exec's pool wait for."""
        return self.activity_of(pool_name(spec))

    def activity_of(self, pool: str) -> str:
        """Return the ARN of the activity of a pool."""
        return self._arn(f"activity:{self.activity_name(pool)}")

    def activity_name(self, pool: str) -> str:
        """Return the name of the activity of a pool, which itself is called alike at any stage."""
        return self.prefix + pool.removeprefix(NAME_PREFIX)

    def machine(self, name: str) -> str:
        """Return the ARN of a state machine."""
        return self._arn(f"stateMachine:{name}")

    def machine_name(self, definition: str, run: str = "") -> str:
        """Return the name of the state machine with this definition, made for a run or for any.

        A run's own can be deleted with it, whatever other runs and pipelines do: `run_of` reads it.
        """
        head = self.prefix + (f"{run}{_RUN_END}" if run else "")
        room = min(_DIGEST, _MOST_NAME - len(head))
        return head + sha256(definition.encode()).hexdigest()[:room]

    def run_of(self, machine: str) -> str | None:
        """Return the run that a machine of this name was made for; None: it is none of ours."""
        if not machine.startswith(self.prefix):
            return None
        run, _, _ = machine.removeprefix(self.prefix).rpartition(_RUN_END)
        return run or None

    def run_machine(self) -> str:
        """Return the resource of a state that runs another machine and waits for its end."""
        return f"arn:{self.partition}:states:::states:startExecution.sync:2"

    def _arn(self, name: str) -> str:
        return f"arn:{self.partition}:states:{self.region}:{self.account}:{name}"


#: What a worker fails a task with when it, not the command, is at fault.
WORKER_LOST: Final = "WorkerLost"


#: What a Lazy's Generate fails with whose parent sees no failure, but no tree either.
NO_TREE: Final = "NoTree"


#: How often Step Functions offers one task whose workers are lost.
MAX_OFFERS: Final = 3
