"""Names of nodes in a state machine, of pools, of state machines and of other AWS resources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b, sha256
from string import ascii_letters, digits
from typing import Final

from conducto_core.installation.names import NAME_PREFIX, made_prefix
from conducto_core.tree.model import NodeSpec, SpotUse
from conducto_core.tree.rules.callbacks import PoolKind, kind_of

#: Maximum length of an AWS name, and maximum digest length in it.
_MAX_NAME = 80
_DIGEST = 40
_LETTERS = ascii_letters
_LETTERS_AND_DIGITS = ascii_letters + digits
#: Two letters or digits each, the lower one first.
_PAIRS = [low + high for high in _LETTERS_AND_DIGITS for low in _LETTERS_AND_DIGITS]
#: Number of pairs in an id, after its letter.
_ID_PAIRS = 4
#: Separates a run's name from the rest of a machine's name.
_RUN_END = "_"


def node_id(path: str) -> str:
    """Return the id of the node at ``path``: nine letters and digits, a letter first.

    It depends on the path alone, so two launches of the same tree give the same definitions, and a
    generated tree needs no counter. With 53 bits, the probability that two of 100,000 nodes have
    the same id is below one in a million.
    """
    number = int.from_bytes(blake2b(path.encode(), digest_size=8).digest(), "big")
    number, first = divmod(number, len(_LETTERS))
    text = _LETTERS[first]
    for _ in range(_ID_PAIRS):
        number, pair = divmod(number, len(_PAIRS))
        text += _PAIRS[pair]
    return text


def pool_name(spec: NodeSpec, pipeline_id: str = "", groups: Sequence[str] = ()) -> str:
    """Return the name of the pool whose workers run an Exec; `Site` returns that of its activity.

    Args:
        spec: The Exec, with the memory of its next attempt.
        pipeline_id: Workers, and the data they see, belong to one pipeline.
        groups: The groups whose capacity it counts in (`autoscaling.Pool.groups`): a worker that
            waits for room in one must not delay others of its pool.
    """
    # One container serves a context, whatever its members request.
    fields: tuple[object, ...] = () if kind_of(spec.pool) is PoolKind.CONTEXT else _fields(spec)
    if spec.placement.services:
        fields = *fields, *(repr((each.name, each.to_wire())) for each in spec.placement.services)
    if spec.placement.buckets:
        fields = *fields, *(repr((each.path, each.to_wire())) for each in spec.placement.buckets)
    return _name_of(spec.pool, spec.placement.image, *fields, pipeline_id, *groups)


# Most of 100,000 Execs have the same pool. Names depend on the types: 1 and 1.0 are two values.
@lru_cache(maxsize=1024, typed=True)
def _name_of(*values: object) -> str:
    return NAME_PREFIX + blake2b(repr(values).encode(), digest_size=6).hexdigest()


def _fields(spec: NodeSpec) -> tuple[object, ...]:
    place = spec.placement
    spot = () if place.spot is SpotUse.SHARE else (place.spot.value,)
    arch = (place.arch,) if place.arch else ()
    machine = (f"machine {place.machine.name}",) if place.machine else ()
    fixed = place.cpu, place.mem, place.gpu, place.requires_docker, place.docker_run_args
    return (*fixed, *spot, *arch, *machine)


def execution_input(run_id: str) -> Mapping[str, object]:
    """Return the input with which every execution of a compiled machine must be started.

    ``r`` names the run. In ``e``, ``p`` and ``g`` the machine records failed children, the outcome
    of the last Parallel, and the generated machines.
    """
    return {"r": run_id, "e": {}, "p": {}, "g": {}}


@dataclass(frozen=True, slots=True)
class Site:
    """The location of state machines and activities.

    Attributes:
        partition: ``aws``, or that of China or of a government.
        stage: Stage of the installation that owns them; empty without an installation, for machines
            that are only displayed.
    """

    region: str
    account: str
    partition: str = "aws"
    stage: str = ""

    @property
    def prefix(self) -> str:
        """Prefix of all their names."""
        return made_prefix(self.stage) if self.stage else NAME_PREFIX

    def activity(self, spec: NodeSpec) -> str:
        """Return the ARN of the activity that the workers of an Exec's pool poll."""
        return self.activity_of(pool_name(spec))

    def activity_of(self, pool: str) -> str:
        """Return the ARN of the activity of a pool."""
        return self._arn(f"activity:{self.activity_name(pool)}")

    def activity_name(self, pool: str) -> str:
        """Return the name of the activity of a pool; pools have the same name at every stage."""
        return self.prefix + pool.removeprefix(NAME_PREFIX)

    def machine(self, name: str) -> str:
        """Return the ARN of a state machine."""
        return self._arn(f"stateMachine:{name}")

    def machine_name(self, definition: str, run: str = "") -> str:
        """Return the name of the state machine with this definition, for one run or for any.

        A machine of one run can be deleted with it, whatever other runs and pipelines do: `run_of`
        reads the run from the name.
        """
        head = self.prefix + (f"{run}{_RUN_END}" if run else "")
        room = min(_DIGEST, _MAX_NAME - len(head))
        return head + sha256(definition.encode()).hexdigest()[:room]

    def run_of(self, machine: str) -> str | None:
        """Return the run that a machine was created for; None if it is not this installation's."""
        if not machine.startswith(self.prefix):
            return None
        run, _, _ = machine.removeprefix(self.prefix).rpartition(_RUN_END)
        return run or None

    def run_machine(self) -> str:
        """Return the resource of a state that runs another machine and waits for its end."""
        return f"arn:{self.partition}:states:::states:startExecution.sync:2"

    def _arn(self, name: str) -> str:
        return f"arn:{self.partition}:states:{self.region}:{self.account}:{name}"


#: The error of a task that failed because of its worker, not its command.
WORKER_LOST: Final = "WorkerLost"


#: The error of a Lazy's Generate whose parent sees no failure, but gets no tree either.
NO_TREE: Final = "NoTree"


#: The error of a task whose Exec is tried again after a delay, by a run that is planned then.
RETRY_LATER: Final = "RetryLater"


#: How often Step Functions offers a task whose workers are lost.
MAX_OFFERS: Final = 3
