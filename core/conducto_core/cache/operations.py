"""The operations on the cache."""

from conducto_core.api.operation import (
    MAX_LAUNCH_BODY,
    LinkClass,
    Permission,
    act,
    read,
    send,
)
from conducto_core.cache.model import (
    CacheEntryParams,
    CacheItem,
    CacheList,
    CachePlan,
    CacheQuery,
    CacheUsage,
    Lineage,
    LineageParams,
)
from conducto_core.run.model.params import NoParams
from conducto_core.run.model.requests import LaunchRequest

LIST_CACHE = read(
    "list_cache",
    "/cache",
    CacheQuery,
    CacheList,
    "Return the entries of the cache, the last used ones first.",
    link_class=LinkClass.READ,
)
GET_CACHE_ENTRY = read(
    "get_cache_entry",
    "/cache/{id}",
    CacheEntryParams,
    CacheItem,
    "Return an entry of the cache.",
    link_class=LinkClass.READ,
)
DELETE_CACHE_ENTRY = act(
    "delete_cache_entry",
    "DELETE /cache/{id}",
    CacheEntryParams,
    CacheItem,
    Permission.CHANGE_STATE,
    "Delete an entry of the cache: the next command with its inputs runs.",
    link_class=LinkClass.AUTHOR,
)
GET_CACHE_USAGE = read(
    "get_cache_usage",
    "/cache-usage",
    CacheQuery,
    CacheUsage,
    "Return the size of the cache, and the time that it saved.",
    link_class=LinkClass.READ,
)
PLAN_CACHE = send(
    "plan_cache",
    "POST /cache-plan",
    NoParams,
    LaunchRequest,
    CachePlan,
    Permission.LAUNCH,
    "Return which commands of a tree would be from the cache, and why the others run.",
    link_class=LinkClass.AUTHOR,
    max_body=MAX_LAUNCH_BODY,
    kept=False,
)
GET_LINEAGE = read(
    "get_lineage",
    "/pipelines/{id}/lineage",
    LineageParams,
    Lineage,
    "Return the files of cached commands, which have changed, and the origin of a file.",
    link_class=LinkClass.READ,
)
