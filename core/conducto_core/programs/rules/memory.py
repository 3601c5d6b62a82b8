"""Memory by history: the sizes of commands with ``mem="auto"``.

The server that launches a pipeline writes the use of earlier attempts into its definition, and
ignores the part of a client. So the sizes stay the same however often the definition is resolved.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, Final

from conducto.wire.fields import AUTO, DEFAULT_MEM
from conducto_core.machines.model import MachineClass, MemoryUse, MemoryUses
from conducto_core.machines.rules import largest_usable
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.states import Cause, State
from conducto_core.tree.model import Callback, Placement
from conducto_core.workers.rules.fargate import AGENT_MEM, SIZES

#: The part of a launch form that has the use of memory.
MEMORY_PART: Final = "memory"
#: Maximum number of nodes whose use is in a definition.
MAX_USES: Final = 20_000
#: Factor above the 99th percentile of the use.
RESERVE: Final = 1.3
#: The rest of a worker's memory is paid, too: sizes are those that fill one.
_VALID: Final = sorted({mem - AGENT_MEM for choices in SIZES.values() for mem in choices})
#: Step in GB of the sizes above the largest of Fargate.
_STEP: Final = 16.0
_PERCENTILE = 0.99
#: The first three retries of a command that runs out of memory double its size.
_DOUBLINGS: Final = (2, 4, 8)
_FOREVER = 10 * 365 * 86400


def memory_uses(attempts: Iterable[AttemptRecord]) -> dict[str, MemoryUse]:
    """Return ``{path: use}`` of the attempts that passed or ran out of memory.

    Others may have ended before they used much.
    """
    peaks: dict[str, list[float]] = {}
    for each in attempts:
        used = 0.0 if each.peak_memory is None else each.peak_memory / 2**30
        if each.cause is Cause.OUT_OF_MEMORY:
            used = max(used, each.mem or 0.0)
        elif each.state is not State.DONE:
            continue
        if used > 0:
            peaks.setdefault(each.path, []).append(used)
    return {path: _use(sorted(values)) for path, values in peaks.items()}


def _use(peaks: list[float]) -> MemoryUse:
    return MemoryUse(peaks[math.ceil(len(peaks) * _PERCENTILE) - 1], len(peaks))


def asks_for_history(form: Mapping[str, Any]) -> bool:
    """Return whether a node of a launch form, valid or not, has ``mem="auto"``."""
    nodes = form.get("nodes")
    found = nodes if isinstance(nodes, list) else ()
    return any(isinstance(node, Mapping) and node.get("mem") == AUTO for node in found)


def written_uses(found: MemoryUses) -> dict[str, Any]:
    """Return uses as the part of a launch form that has them."""
    return {"most": found.most, "uses": {path: [*use] for path, use in found.uses.items()}}


def uses_in(part: object) -> MemoryUses:
    """Return the uses in the part of a launch form; none without such a part.

    Raises:
        ValueError: The part is invalid.
    """
    if part is None:
        return MemoryUses()
    try:
        uses, most = part["uses"], part["most"]  # type: ignore[index]
        found = {
            str(path): MemoryUse(float(gb), int(number)) for path, (gb, number) in uses.items()
        }
        return MemoryUses(found, None if most is None else float(most))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{MEMORY_PART}: expected uses and most, got {part!r}") from error


def auto_mem(path: str, place: Placement, known: MemoryUses) -> tuple[float, str]:
    """Return the GB of a command with ``mem="auto"``, and the reason.

    Args:
        path: The command.
        place: Its placement; ``mem`` does not matter.
        known: The use of earlier attempts.
    """
    use = known.uses.get(path)
    if use is None:
        size, why = DEFAULT_MEM, "no earlier attempt of this program is known: the default"
    else:
        number = "1 attempt" if use.attempts == 1 else f"{use.attempts:,} attempts"
        size, why = _valid(use.gb * RESERVE), f"p99 of {number} is {use.gb:.3g} GB, x {RESERVE:g}"
    most = _most(place.machine, known.most)
    if most is None:
        return size, why
    most = max(_VALID[0], most - (place.total_mem - place.mem))
    return (size, why) if size <= most else (most, f"{why}; {most:g} GB is the maximum here")


def _most(machine: MachineClass | None, most: float | None) -> float | None:
    if machine is None or not machine.is_declared:
        return most
    return largest_usable(machine)


def _valid(gb: float) -> float:
    """Return the smallest size of at least this much."""
    at = bisect_left(_VALID, gb)
    return _VALID[at] if at < len(_VALID) else math.ceil(gb / _STEP) * _STEP


def with_doubling(callbacks: tuple[Callback, ...], mem: float) -> tuple[Callback, ...]:
    """Return the callbacks of a command with ``mem="auto"``: more memory after it ran out of it.

    Args:
        callbacks: The author's; if they choose the memory of retries, nothing is added.
        mem: GB of the first attempt.
    """
    if any(each.name in ("retry_with_double_mem", "handle_memory_errors") for each in callbacks):
        return callbacks
    limits = [mem * factor for factor in _DOUBLINGS]
    arguments = {"mem_limits": limits, "max_duration": _FOREVER}
    return (*callbacks, Callback("error", "handle_memory_errors", arguments))
