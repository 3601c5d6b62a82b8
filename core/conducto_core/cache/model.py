"""Records of the cache."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from conducto_core.record import Record
from conducto_core.results.model import OutputSummary
from conducto_core.run.model.params import PipelineId
from conducto_core.run.model.records import CacheSource

#: Maximum number of entries in a list.
MAX_LISTED = 1000


class CacheEntry(Record):
    """The outcome of one attempt, for commands with equal inputs.

    Attributes:
        key: Digest of all inputs, and of the trust in it.
        fields: ``{input: digest}``.
        fingerprint: That of the attempt, from which differences are named.
        source: The attempt.
        program: Key of the program that it belongs to; entries of a program are compared.
        made: When the attempt ended, in seconds since the epoch.
        seconds: How long it took.
        private_to: The user who alone may use it; None: the organisation.
        with_secrets: It was made with secrets of the organisation, so that a pull request from a
            fork may not use it.
        outputs: Summary of its result and metrics.
        size: Bytes of its result, metrics and output that are kept.
        used: When it was used last, in seconds since the epoch.
        hits: How often it was used.
        varies: The result and the files that differed when the command ran again.
    """

    key: str
    fields: dict[str, str]
    fingerprint: str | None = None
    source: CacheSource
    program: str = ""
    made: float
    seconds: float = 0.0
    private_to: str | None = None
    with_secrets: bool = False
    outputs: OutputSummary | None = None
    size: int = 0
    used: float = 0.0
    hits: int = 0
    varies: tuple[str, ...] = ()

    def saving(self, dollars: float | None = None) -> CacheSource:
        """Return the attempt with what a command saves that gets its outcome."""
        return self.source.model_copy(update={"seconds": self.seconds, "dollars": dollars})


class CacheInputs(Record):
    """The inputs with which an attempt runs; see `CacheEntry`.

    Attributes:
        has_files: It sees or writes files, which its worker reports; ``fields`` has none of them.
    """

    fields: dict[str, str]
    private_to: str | None = None
    with_secrets: bool = False
    has_files: bool = False


class CacheItem(Record):
    """An entry, as it is listed.

    Attributes:
        id: The start of its key, by which it is deleted.
        varies: The result and the files that differed when the command ran again.
    """

    id: str
    source: CacheSource
    program: str
    made: float
    seconds: float
    private_to: str | None
    size: int
    used: float
    hits: int
    varies: tuple[str, ...] = ()


class CacheList(Record):
    """The entries of the cache, the last used ones first.

    Attributes:
        complete: There are no others.
    """

    entries: tuple[CacheItem, ...] = ()
    complete: bool = True


class CacheUsage(Record):
    """The size of the cache, and what it saved.

    Attributes:
        bytes: Of all entries.
        hits: Number of commands that did not run.
        seconds_saved: Sum of the times that these commands took when they ran.
    """

    entries: int = 0
    bytes: int = 0
    hits: int = 0
    seconds_saved: float = 0.0


class ForecastFate(StrEnum):
    """The decision about a command of a tree that is not launched yet.

    ``depends``: it has an input, or a condition, that is not known before another command runs.
    ``skipped``: the condition of the command, or of a group above it, does not hold.
    """

    CACHED = "cached"
    RUNS = "runs"
    DEPENDS = "depends"
    SKIPPED = "skipped"


class CacheForecast(Record):
    """The decision about one command.

    Attributes:
        source: The attempt whose outcome it gets, if that is in the cache.
        seconds: How long that took.
        reason: Why it runs or is skipped; or the node, or the image, on which the decision depends.
    """

    path: str
    fate: ForecastFate
    source: CacheSource | None = None
    seconds: float = 0.0
    reason: str = ""


class CachePlan(Record):
    """The decisions about the commands with a cache, and about those that conditions skip.

    They are in the order of the tree.

    Attributes:
        complete: There are no others; False: deciding took too long.
    """

    nodes: tuple[CacheForecast, ...] = ()
    complete: bool = True


class CacheQuery(Record):
    """The entries to list.

    Attributes:
        text: Only entries whose pipeline, path or program has it.
    """

    text: str = Field(default="", max_length=300)
    limit: int = Field(default=100, ge=1, le=MAX_LISTED)


class CacheEntryParams(Record):
    """An entry.

    Attributes:
        id: The start of its key, at least eight characters.
    """

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]


class LineageParams(Record):
    """A pipeline, and the file or directory of its data whose origin is wanted.

    Attributes:
        name: Its name; None: only the files of nodes are listed.
    """

    id: PipelineId
    name: str | None = Field(default=None, max_length=1000)


class NodeFiles(Record):
    """The newest successful attempt of a command that has declared files, or is stale.

    Attributes:
        source: The attempt whose outcome it got from the cache, or None.
        reads: Number of files and directories that it saw.
        writes: Number of those that it wrote.
        stale: The first of the results that it used, and of these files, that have changed since.
        stale_count: Their number; 0: it is not stale.
    """

    path: str
    attempt: int
    source: CacheSource | None = None
    reads: int = 0
    writes: int = 0
    stale: tuple[str, ...] = ()
    stale_count: int = 0


class FileOrigin(Record):
    """Files that one attempt wrote.

    Attributes:
        depth: Number of steps from the file that was asked for; its sources follow it.
        names: The first of their names.
        count: Their number.
        path: The command; None: one without declared files, or a person, wrote them.
        attempt: Number of its attempt.
        source: The attempt whose outcome that got from the cache, or None.
    """

    depth: int
    names: tuple[str, ...]
    count: int
    path: str | None = None
    attempt: int | None = None
    source: CacheSource | None = None


class CacheSavings(Record):
    """What the cache saved a pipeline.

    Attributes:
        commands: Number of commands whose newest outcome is from the cache.
        seconds: Sum of the times that they took when they ran, as far as recorded.
        dollars: Sum of the costs of a worker in these times; None: locally.
    """

    commands: int
    seconds: float = 0.0
    dollars: float | None = None


class Lineage(Record):
    """The declared files of a pipeline's commands.

    Attributes:
        nodes: The commands, in the order of the tree.
        origins: The attempts that wrote the file that was asked for, each before its sources.
        saved: None: no outcome is from the cache. Of more than 20,000 commands with a cache, only
            those with files count.
    """

    nodes: tuple[NodeFiles, ...] = ()
    origins: tuple[FileOrigin, ...] = ()
    saved: CacheSavings | None = None
