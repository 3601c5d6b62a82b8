"""The coverage of attempts and pipelines."""

from pydantic import Field

from conducto_core.record import Record
from conducto_core.run.model.params import PipelineId

MAX_PATH = 500
MAX_LISTED = 5_000


class CoverageCounts(Record):
    """The lines in the coverage files of an attempt.

    Attributes:
        lines: Number of lines that can be covered.
        incomplete: A file could not be read to its end, or there are too many files.
    """

    files: int = 0
    lines: int = 0
    covered: int = 0
    incomplete: bool = False


class FileCoverage(Record):
    """The lines of a file, as they are stored.

    Attributes:
        covered: Lines that ran, such as ``1-4,9``.
        missed: Lines that did not run.
    """

    file: str = Field(min_length=1, max_length=MAX_PATH)
    covered: str = ""
    missed: str = ""


class CoverageParams(Record):
    """The pipeline whose coverage is returned."""

    id: PipelineId
    limit: int = Field(default=200, ge=1, le=MAX_LISTED)


class CoveredFile(Record):
    """The coverage of a file in a pipeline.

    Attributes:
        missed: Lines that no command of the pipeline ran, such as ``5-8``.
        before: Percentage in the base; None if it is not in it.
    """

    file: str
    lines: int
    covered: int
    missed: str = ""
    before: float | None = None


class BaseCoverage(Record):
    """The coverage of the pipeline that is compared with.

    Attributes:
        branch: Its branch, if a trigger launched it.
    """

    pipeline: str
    lines: int
    covered: int
    branch: str | None = None


class CoverageReport(Record):
    """The coverage of the newest attempts of a pipeline.

    Attributes:
        pipeline: Its full id.
        base: The pipeline that it is compared with: of the base of its pull request, or the last
            earlier one of its program; None without any.
        files: Those with most missed lines first.
        more: Number of further ones.
        problems: Files that could not be read, as sentences.
    """

    pipeline: str
    lines: int = 0
    covered: int = 0
    base: BaseCoverage | None = None
    files: tuple[CoveredFile, ...] = ()
    more: int = 0
    incomplete: bool = False
    problems: tuple[str, ...] = ()
