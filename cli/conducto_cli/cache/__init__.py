"""The commands about the cache."""
