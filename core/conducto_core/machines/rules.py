"""Declarations of machine classes, and the workers that run on them. No I/O.

A declaration is ``gpu=g6.xlarge,g5.xlarge:spot,ondemand; big=r7i.16xlarge@4.20``: classes with
their instance types, the price per hour of types for which none is known or another one applies,
and the ways to buy them. A worker has a whole machine: commands of organisations do not share one,
and its price is that of the machine.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from conducto.wire.fields import ARM
from conducto.wire.printable import suggestion
from conducto_core.errors import invalid
from conducto_core.machines.model import MachineClass, MachineType, Rung
from conducto_core.tree.model import NodeSpec, Placement, SpotUse
from conducto_core.tree.rules.callbacks import PoolKind, kind_of
from conducto_core.workers.rules.fargate import AGENT_MEM, Size, size_for

#: Part of a launch form with the declarations of the installation, ``{class: declaration}``.
MACHINES_PART = "machines"
#: Maximum number of classes: ECS allows 20 capacity providers in a cluster, of which Fargate has 2.
MAX_CLASSES = 9
#: Part of a machine's memory that the operating system and the agent of ECS leave to a task.
USABLE_MEM = 0.9
#: AWS's fee for Managed Instances, as a part of the price on demand. It is the same on Spot.
FEE = 0.12
_NAME = re.compile(r"[a-z][a-z0-9-]{0,23}")
_X86 = "x86_64"
#: ``family: (architecture, GB per vCPU, dollars per vCPU and hour)``, in us-east-1. Sizes of these
#: families have prices in proportion to their vCPUs.
_PLAIN = {
    "c7i": (_X86, 2, 0.044625),
    "m7i": (_X86, 4, 0.0504),
    "r7i": (_X86, 8, 0.06615),
    "c7g": (ARM, 2, 0.03625),
    "m7g": (ARM, 4, 0.0408),
    "r7g": (ARM, 8, 0.05355),
}
_CPUS = {
    "large": 2,
    "xlarge": 4,
    "2xlarge": 8,
    "4xlarge": 16,
    "8xlarge": 32,
    "12xlarge": 48,
    "16xlarge": 64,
    "24xlarge": 96,
    "48xlarge": 192,
}
#: The largest sizes of Graviton's families.
_MAX_ARM_CPUS = 64
#: Types with GPUs: vCPUs, GB, GPUs, dollars per hour in us-east-1; without a price where AWS has
#: changed it recently.
_GPU_TYPES = """
g4dn.xlarge 4 16 1 0.526 | g4dn.2xlarge 8 32 1 0.752 | g4dn.4xlarge 16 64 1 1.204
g4dn.8xlarge 32 128 1 2.176 | g4dn.12xlarge 48 192 4 3.912 | g4dn.16xlarge 64 256 1 4.352
g5.xlarge 4 16 1 1.006 | g5.2xlarge 8 32 1 1.212 | g5.4xlarge 16 64 1 1.624
g5.8xlarge 32 128 1 2.448 | g5.12xlarge 48 192 4 5.672 | g5.16xlarge 64 256 1 4.096
g5.24xlarge 96 384 4 8.144 | g5.48xlarge 192 768 8 16.288
g6.xlarge 4 16 1 0.8048 | g6.2xlarge 8 32 1 0.9776 | g6.4xlarge 16 64 1 1.3232
g6.8xlarge 32 128 1 2.0144 | g6.12xlarge 48 192 4 4.6016 | g6.16xlarge 64 256 1 3.3968
g6.24xlarge 96 384 4 6.6752 | g6.48xlarge 192 768 8 13.3504
g6e.xlarge 4 32 1 1.861 | g6e.2xlarge 8 64 1 2.24208 | g6e.4xlarge 16 128 1 3.00424
g6e.8xlarge 32 256 1 4.52856 | g6e.12xlarge 48 384 4 10.49264
p4d.24xlarge 96 1152 8 - | p5.48xlarge 192 2048 8 -
"""


def _known_types() -> Iterator[MachineType]:
    for family, (arch, mem, hour) in _PLAIN.items():
        for size, cpu in _CPUS.items():
            if arch != ARM or cpu <= _MAX_ARM_CPUS:
                name = f"{family}.{size}"
                yield MachineType(name, cpu, float(cpu * mem), 0, arch, round(cpu * hour, 6))
    for written in _GPU_TYPES.replace("\n", "|").split("|"):
        if written.strip():
            name, cpus, gb, gpus, price = written.split()
            dollars = None if price == "-" else float(price)
            yield MachineType(name, int(cpus), float(gb), int(gpus), _X86, dollars)


#: ``{name: instance type}``.
TYPES: Mapping[str, MachineType] = {each.name: each for each in _known_types()}


def read_machines(text: str) -> dict[str, MachineClass]:
    """Return the classes of a declaration.

    Raises:
        ValueError: the declaration is invalid; the message has the remedy.
    """
    found: dict[str, MachineClass] = {}
    for written in (each.strip() for each in text.split(";")):
        if not written:
            continue
        name, equals, rest = written.partition("=")
        if not equals or _NAME.fullmatch(name.strip()) is None:
            raise ValueError(
                f"{written!r}: expected CLASS=TYPE,TYPE:OPTION,OPTION, e.g. "
                "gpu=g6.xlarge,g5.xlarge:spot,ondemand; a name has lower-case letters, digits and "
                "'-', at most 24"
            )
        if name.strip() in found:
            raise ValueError(f"the class {name.strip()!r} is declared twice")
        found[name.strip()] = _read_class(name.strip(), rest)
    if len(found) > MAX_CLASSES:
        raise ValueError(f"{len(found)} classes; the maximum is {MAX_CLASSES}")
    return found


def _read_class(name: str, text: str) -> MachineClass:
    types_text, colon, rungs_text = text.partition(":")
    types = [_read_type(name, each.strip()) for each in types_text.split(",")]
    if len({each.name for each in types}) < len(types):
        raise ValueError(f"class {name!r}: an instance type is named twice")
    if len({each.arch for each in types}) > 1:
        arches = ", ".join(f"{each.name} is {each.arch}" for each in types)
        raise ValueError(f"class {name!r} has two architectures ({arches}); declare two classes")
    rungs = tuple(_read_rung(name, each.strip()) for each in rungs_text.split(",")) if colon else ()
    if len(set(rungs)) < len(rungs):
        raise ValueError(f"class {name!r}: {rungs_text!r} has an option twice")
    ordered = tuple(sorted(types, key=lambda each: (each.hour or 0.0, each.name)))
    return MachineClass(name, ordered, rungs or (Rung.ON_DEMAND,))


def _read_type(owner: str, text: str) -> MachineType:
    name, at, price = text.partition("@")
    known = TYPES.get(name)
    if known is None:
        hint = suggestion(name, TYPES)
        families = ", ".join(sorted({each.partition(".")[0] for each in TYPES}))
        raise ValueError(
            f"class {owner!r}: {name!r} is not a known instance type{hint} (families: {families})"
        )
    if at:
        known = replace(known, hour=_read_price(owner, name, price))
    if known.hour is None:
        raise ValueError(
            f"class {owner!r}: the price of {name} is not known; add that of your region in "
            f"dollars per hour: {name}@12.34"
        )
    return known


def _read_price(owner: str, name: str, text: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = math.nan
    if not 0 < price < math.inf:
        raise ValueError(
            f"class {owner!r}: {name}@{text}: expected dollars per hour above 0, e.g. {name}@1.23"
        )
    return price


def _read_rung(owner: str, text: str) -> Rung:
    try:
        return Rung(text)
    except ValueError:
        raise ValueError(
            f"class {owner!r}: {text!r} is not a way to buy machines; use spot, ondemand or both"
        ) from None


def written(classes: Mapping[str, MachineClass]) -> dict[str, str]:
    """Return classes as the part of a launch form that has them."""
    return {name: each.text for name, each in classes.items()}


def classes_in(part: object) -> dict[str, MachineClass] | None:
    """Return the classes in the part of a launch form; None without such a part.

    Raises:
        ValueError: The part is invalid.
    """
    if part is None:
        return None
    if not isinstance(part, Mapping):
        raise ValueError(f"machines: expected a mapping, got {part!r}")  # noqa: TRY004  as others
    return read_machines(";".join(str(each) for each in part.values()))


def find_class(name: str, classes: Mapping[str, MachineClass] | None) -> MachineClass:
    """Return a class by its name; where none are known, any name is accepted.

    Raises:
        ValueError: The installation does not declare it; the message has the nearest one.
    """
    if classes is None:
        return MachineClass(name)
    if name in classes:
        return classes[name]
    if not classes:
        raise ValueError(
            f"machine={name!r}: the installation declares no machine classes; leave it out, or ask "
            f"its administrator: conducto deploy -c machines='{name}=g6.xlarge'"
        )
    hint = suggestion(name, classes)
    raise ValueError(
        f"machine={name!r} is not a machine class of the installation{hint} (it has: "
        f"{', '.join(sorted(classes))})"
    )


def worker_size(path: str, place: Placement) -> Size:
    """Return the worker for the commands of a placement.

    Raises:
        DefinitionError: no machine is large enough.
    """
    cpu, mem = place.total_cpu, place.total_mem
    if place.machine is None or not place.machine.is_declared:
        return size_for(path, cpu, mem, place.arch)
    return machine_size(path, place.machine, cpu, mem, place.gpu)


def machine_size(path: str, machine: MachineClass, cpu: float, mem: float, gpu: int) -> Size:
    """Return the worker of a class in which a command can have this much.

    Raises:
        DefinitionError: No type of the class is that large.
    """
    for each in machine.types:
        if each.cpu >= cpu and _usable(each) >= mem and each.gpu >= gpu:
            arch = ARM if each.arch == ARM else ""
            hour = (each.hour or 0.0) * (1 + FEE)
            return Size(float(each.cpu), each.mem * USABLE_MEM, arch, gpu, each.name, hour)
    most = max(machine.types, key=lambda each: (each.gpu, each.cpu))
    raise invalid(
        path,
        f"cpu={cpu:g}, mem={mem:g} and gpu={gpu} are more than any type of "
        f"machine={machine.name!r} has: {most.name} has {most.cpu} vCPUs, "
        f"{_usable(most):.4g} usable GB and {most.gpu} GPUs; ask for less, or "
        f"for another class{_nearest_type(machine.arch, cpu, mem, gpu)}",
    )


def _nearest_type(arch: str, cpu: float, mem: float, gpu: int) -> str:
    """Return a hint with the cheapest known type that is large enough, if there is one."""
    fitting = [
        each
        for each in TYPES.values()
        if each.arch == arch and each.cpu >= cpu and each.gpu >= gpu and _usable(each) >= mem
    ]
    if not fitting:
        return ""
    nearest = min(fitting, key=lambda each: (each.gpu, each.hour or math.inf, each.cpu))
    return f"; an administrator can add {nearest.name} to it"


def _usable(machine_type: MachineType) -> float:
    """Return the GB that a command can have on a type."""
    return machine_type.mem * USABLE_MEM - AGENT_MEM


def largest_usable(machine: MachineClass) -> float:
    """Return the GB that a command can have on the largest type of a declared class."""
    return max(map(_usable, machine.types))


def machine_problems(node: NodeSpec) -> Iterator[str]:
    """Yield the reasons why a command cannot run on the declared class that it names."""
    place, machine = node.placement, node.placement.machine
    if machine is None or not machine.is_declared:
        return
    arch = place.arch or _X86
    if arch != machine.arch:
        yield (
            f"machine={machine.name!r} has {machine.arch} processors, but arch is {arch!r}; set "
            f"arch={machine.arch!r}, or use another class"
        )
    if place.spot is SpotUse.ONLY and Rung.SPOT not in machine.rungs:
        yield (
            f"spot='only': machine={machine.name!r} is not declared for Spot; use spot=True, or "
            "another class"
        )
    is_kept = kind_of(node.pool) is PoolKind.CONTEXT
    if (is_kept or place.spot is SpotUse.NEVER) and Rung.ON_DEMAND not in machine.rungs:
        why = "container_reuse_context=NEW keeps its container" if is_kept else "spot=False"
        yield (
            f"{why}, so it does not run on Spot, but machine={machine.name!r} is declared for Spot "
            "only; use another class"
        )
