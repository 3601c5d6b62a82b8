"""Results of checks, and how they are printed."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from conducto_cli.text.text import printable


class Status(StrEnum):
    """How a check went; `SKIPPED` ones could not be made because another failed."""

    OK = "ok"
    WARNING = "warn"
    FAILED = "fail"
    SKIPPED = "skip"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found.

    Attributes:
        name: Of the check.
        text: The result.
        remedy: What to do about it.
    """

    name: str
    status: Status
    text: str
    remedy: str | None = None

    def as_document(self) -> dict[str, str | None]:
        """Return it for programs."""
        return {**asdict(self), "status": self.status.value}


def is_failed(findings: Sequence[CheckResult]) -> bool:
    """Return whether one of them is in the way."""
    return any(finding.status is Status.FAILED for finding in findings)


def lines(findings: Sequence[CheckResult], width: int = 0) -> Iterator[str]:
    """Yield the lines that tell them, remedies below what they are for.

    Args:
        findings: The results.
        width: Columns for the names, where longer ones do not need more.
    """
    width = max(width, *(len(finding.name) for finding in findings), 0)
    for finding in findings:
        yield f"{finding.status.value:<4}  {finding.name:<{width}}  {printable(finding.text)}"
        for line in (finding.remedy or "").splitlines():
            yield f"      {'':<{width}}  {printable(line)}"
