"""Where the operation on partitions finds pipelines and states in the cloud."""

from chalicelib.partitions.store import PartitionBlobs
from chalicelib.run.reading import CloudQueries
from conducto_core.partitions.handlers import facts_of
from conducto_core.partitions.rules import PartitionFacts


class CloudPartitions(CloudQueries):
    """The partitions of one organisation's programs."""

    async def partition_facts(self, pipeline_id: str) -> PartitionFacts:
        return await self._read(pipeline_id, facts_of)

    def partition_store(self) -> PartitionBlobs:
        return PartitionBlobs(self._storage.blobs, self._me.org)
