"""The operations on the agent's cache."""

from conducto_core.cache.handlers import CacheEntries
from conducto_core.errors import RefusedError


class LocalCache:
    """The entries of the cache.

    Attributes:
        cache: The entries; None: the agent has no cache.
    """

    cache: CacheEntries | None = None

    def cache_entries(self) -> CacheEntries:
        if self.cache is None:
            raise RefusedError("this agent has no cache")
        return self.cache
