"""The task sizes of Fargate, and their prices.

Source of sizes: ECS ``RegisterTaskDefinition`` (``cpu`` and ``memory`` of Fargate tasks); those of
32 vCPUs: github.com/pulumi/pulumi-awsx, pull request 2053 of June 2026, as the reference still ends
at 16. GB are 2**30 bytes here as everywhere. Prices: us-east-1, dollars, before tax and free tiers,
as of `PRICES.date`.
"""

from dataclasses import dataclass, replace

from conducto.wire.fields import ARM
from conducto_core.errors import invalid

#: GB of a worker's memory for the agent next to the user's container. It uses 0.07 with full chunks
#: of output, and 0.14 while it sends the largest tree; out of memory, ECS stops the whole task.
AGENT_MEM = 0.25
#: How long a worker takes to start, for people.
USUAL_START = "AWS needs 30 to 60 s for a machine and to pull the image, longer for a large one"


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a worker.

    Attributes:
        cpu: vCPUs.
        mem: GB.
        arch: Architecture of its machine; "": x86_64.
        gpu: GPUs of the command.
        machine: Its instance type of EC2; "": it is a task of Fargate.
        hour: Dollars per hour on demand of an instance type, with all fees.
    """

    cpu: float
    mem: float
    arch: str = ""
    gpu: int = 0
    machine: str = ""
    hour: float = 0.0

    @property
    def cpu_units(self) -> str:
        """CPU in the units of a task definition."""
        return str(round(self.cpu * 1024))

    @property
    def mem_mib(self) -> str:
        """Memory in the units of a task definition."""
        return str(round(self.mem * 1024))


def _steps(first: int, last: int, step: int) -> tuple[float, ...]:
    return tuple(float(mem) for mem in range(first, last + 1, step))


#: ``{vCPUs: possible GB}``.
SIZES: dict[float, tuple[float, ...]] = {
    0.25: (0.5, 1.0, 2.0),
    0.5: _steps(1, 4, 1),
    1.0: _steps(2, 8, 1),
    2.0: _steps(4, 16, 1),
    4.0: _steps(8, 30, 1),
    8.0: _steps(16, 60, 4),
    16.0: _steps(32, 120, 8),
    32.0: (60.0, 120.0, 244.0),
}
LARGEST = Size(32.0, 244.0)


def size_for(path: str, cpu: float, mem: float, arch: str = "") -> Size:
    """Return the smallest worker in which a command can have ``cpu`` vCPUs and ``mem`` GB.

    The agent's own memory is added; a definition of exactly 2 GB at 1 vCPU gets 3 GB.

    Raises:
        DefinitionError: Fargate has no size that large.
    """
    for size in SIZES_BY_PRICE:
        if size.cpu >= cpu and size.mem >= mem + AGENT_MEM:
            return replace(size, arch=ARM) if arch == ARM else size
    raise invalid(
        path,
        f"cpu={cpu:g} and mem={mem:g} are more than Fargate has: at most {LARGEST.cpu:g} vCPUs and "
        f"{LARGEST.mem - 1:g} GB; ask for less, or run it locally",
    )


def largest_mem(max_cpu: float) -> float:
    """Return the maximum GB of a command in a worker with at most ``max_cpu`` vCPUs."""
    choices = [mem for cpu, sizes in SIZES.items() if cpu <= max_cpu for mem in sizes]
    return max(choices, default=0.0) - AGENT_MEM


def rounding_note(path: str, cpu: float, mem: float) -> str | None:
    """Return a note about the rounding of a node's size; None if the size fits exactly."""
    size = size_for(path, cpu, mem)
    if size.cpu == cpu and size.mem - mem <= 1:
        return None
    return (
        f"{path}: cpu={cpu:g} mem={mem:g} runs in a worker of {size.cpu:g} vCPU and {size.mem:g} GB"
    )


@dataclass(frozen=True, slots=True)
class Prices:
    """AWS prices, in dollars.

    Attributes:
        date: Month of the prices.
        cpu_hour: Per vCPU and hour.
        mem_hour: Per GB and hour.
        arm_cpu_hour: Per vCPU and hour on ARM.
        arm_mem_hour: Per GB and hour on ARM.
        address_hour: Per public IPv4 address and hour; each worker has one.
        spot: Ratio of the Spot price, without the address.
        transition: Per state transition.
        request: Per request to the API (API Gateway, REST).
        invocation: Per invocation of a function.
        memory_second: Per GB-second of a function.
        write: Per write unit of the table (1 kB), on demand.
        read: Per read unit of the table (4 kB, strongly consistent), on demand.
        put: Per object that is written to the bucket.
        get: Per object that is read.
        secret_read: Per read of a secret.
        object_month: Per GB and month in the bucket.
        file_month: Per GB and month in the file system, in one zone.
        file_read: Per GB that is read from the file system.
        file_write: Per GB that is written to it.
        record_month: Per GB and month in the table, with point-in-time recovery.
        source: Where AWS publishes them.
        least_seconds: Minimum charged time of a worker.
    """

    region: str
    date: str
    cpu_hour: float
    mem_hour: float
    arm_cpu_hour: float
    arm_mem_hour: float
    address_hour: float
    spot: float
    transition: float
    request: float
    invocation: float
    memory_second: float
    write: float
    read: float
    put: float
    get: float
    secret_read: float
    object_month: float
    file_month: float
    file_read: float
    file_write: float
    record_month: float
    source: str
    least_seconds: float

    def worker_hour(self, size: Size, *, spot: bool = False) -> float:
        """Return the price of an hour of a worker."""
        if size.machine:
            return size.hour * (self.spot if spot else 1.0)
        computing = size.cpu * self.cpu_hour + size.mem * self.mem_hour
        if size.arch == ARM:
            computing = size.cpu * self.arm_cpu_hour + size.mem * self.arm_mem_hour
        return computing * (self.spot if spot else 1.0) + self.address_hour


PRICES = Prices(
    region="us-east-1",
    date="2026-11",
    cpu_hour=0.04048,
    mem_hour=0.004445,
    arm_cpu_hour=0.03238,
    arm_mem_hour=0.00356,
    address_hour=0.005,
    spot=0.3,
    transition=0.025 / 1000,
    request=3.50e-6,
    invocation=0.20e-6,
    memory_second=1.66667e-5,
    write=0.625e-6,
    read=0.125e-6,
    put=5e-6,
    get=0.4e-6,
    secret_read=5e-6,
    object_month=0.023,
    file_month=0.16,
    file_read=0.03,
    file_write=0.06,
    record_month=0.25 + 0.20,
    source="aws.amazon.com/SERVICE/pricing: fargate, vpc, step-functions, api-gateway, lambda, "
    "dynamodb, s3, efs, secrets-manager",
    least_seconds=60.0,
)
#: All sizes, the cheapest first.
SIZES_BY_PRICE = sorted(
    (Size(cpu, mem) for cpu, choices in SIZES.items() for mem in choices), key=PRICES.worker_hour
)
