"""The commands on partitions and backfills."""
