"""The operation on the partitions of a program."""

from conducto_core.api.operation import LinkClass, read
from conducto_core.partitions.model import PartitionsParams, ProgramPartitions

PARTITIONS = read(
    "list_partitions",
    "/partitions",
    PartitionsParams,
    ProgramPartitions,
    "Return the states of the partitions of a program, a letter for each.",
    link_class=LinkClass.READ,
)
