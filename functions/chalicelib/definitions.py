"""What pipelines are defined by, in memory: one that lost a race is made anew from it."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from chalicelib.ports import Store

#: Bytes of definitions and trees that stay in memory, packed as they are.
MOST_BYTES = 64 << 20


class Definitions:
    """Definitions and generated trees, which never change; safe to use from many threads.

    Args:
        store: Where they are.
        most: Bytes that stay in memory; the last one stays whatever its size.
    """

    def __init__(self, store: Callable[[], Store], most: int = MOST_BYTES) -> None:
        self._store = store
        self._most = most
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = Lock()

    def of(self, pipeline_id: str) -> bytes:
        """Return what a pipeline was launched with."""
        return self._get(pipeline_id, "", lambda: self._store().definition(pipeline_id))

    def tree(self, pipeline_id: str, key: str) -> bytes:
        """Return a generated tree."""
        return self._get(pipeline_id, key, lambda: self._store().tree(pipeline_id, key))

    def drop(self, pipeline_id: str) -> None:
        """Forget a pipeline's."""
        with self._lock:
            for known in [known for known in self._kept if known[0] == pipeline_id]:
                del self._kept[known]

    def _get(self, pipeline_id: str, key: str, read: Callable[[], bytes]) -> bytes:
        with self._lock:
            found = self._kept.get((pipeline_id, key))
            if found is not None:
                self._kept.move_to_end((pipeline_id, key))
                return found
        found = read()
        with self._lock:
            self._kept[pipeline_id, key] = found
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > self._most:
                self._kept.popitem(last=False)
        return found
