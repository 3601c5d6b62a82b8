"""The files of the cached commands of a pipeline."""

from collections.abc import Collection, Mapping

from chalicelib.logs.port import LogKey, Storage
from chalicelib.records import Records
from chalicelib.run.results import reader_of
from chalicelib.run.rules.pipeline import CloudPipeline
from conducto_core.cache.files import FileUse
from conducto_core.cache.lineage import AttemptFiles, Readers, files_of_attempts
from conducto_core.errors import RefusedError
from conducto_core.installation.names import contents_directory, pipeline_directory
from conducto_core.results.outputs import MAX_STREAM
from conducto_core.run.model.records import AttemptRecord

#: Seconds for reading the files of which no digest is known.
_SECONDS = 20.0


def files_of_commands(
    records: Records, storage: Storage, live: CloudPipeline
) -> list[AttemptFiles]:
    """Return the files of cached commands, in the order of the tree.

    Raises:
        RefusedError: They take too long to read.
    """
    places = pipeline_directory(live.id), contents_directory(live.org)

    def use(attempt: AttemptRecord) -> FileUse:
        key = LogKey(live.id, attempt.path, attempt.number, "files")
        return FileUse.from_bytes(storage.logs.read(key, 0, MAX_STREAM))

    def now(patterns: Collection[str]) -> Mapping[str, str]:
        try:
            return storage.data.marks(*places, sorted(patterns), _SECONDS).found
        except TimeoutError as error:
            raise RefusedError(
                f"{live.id}: {error}; files that were read count next time"
            ) from error

    read = Readers(
        lambda: records.store.attempts(live.id), use, now, reader_of(storage.logs, live.id)
    )
    return files_of_attempts(live.tree, live.record, read)
