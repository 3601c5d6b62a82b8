"""The results that commands and maps use, as the logs of attempts have them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from chalicelib.logs.port import LogKey, LogStore
from conducto.wire.outputs import MAX_RESULT
from conducto_core.results.rules import Attempt, Read

#: Results that are read at once, and ahead of the check of their size.
_READERS, _READ_AHEAD = 16, 256


def reader_of(logs: LogStore, pipeline_id: str) -> Read:
    """Return the reader of the results of a pipeline's attempts: those of a map are many."""

    def read(each: Attempt) -> bytes:
        key = LogKey(pipeline_id, each.path, each.number, "result")
        return logs.read(key, 0, MAX_RESULT)

    def read_all(attempts: Sequence[Attempt]) -> Iterator[bytes]:
        with ThreadPoolExecutor(_READERS) as readers:
            for start in range(0, len(attempts), _READ_AHEAD):
                yield from readers.map(read, attempts[start : start + _READ_AHEAD])

    return read_all
