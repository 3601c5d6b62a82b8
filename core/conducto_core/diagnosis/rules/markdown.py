"""The diagnosis as Markdown, for summaries of CI jobs and notifications."""

import re
from collections.abc import Iterator

from conducto_core.annotations.model import line_of
from conducto_core.diagnosis.model import Diagnosis, FailureCause
from conducto_core.diagnosis.rules.first_error import clean, shortened
from conducto_core.diagnosis.rules.text import line_of_test

_MAX_LINE = 300
_LINES = 8
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~@-])")


def markdown(found: Diagnosis, max_bytes: int) -> str:
    """Return the diagnosis as Markdown of at most ``max_bytes``: with fewer causes if necessary."""
    for shown in (5, 3, 1, 0):
        text = "\n".join(_lines(found, shown)) + "\n"
        if len(text.encode()) <= max_bytes:
            return text
    return text.encode()[:max_bytes].decode(errors="ignore")


def escaped(text: str) -> str:
    """Return text of others for Markdown: no character of it has a meaning."""
    return _SPECIAL.sub(r"\\\1", shortened(clean(text).replace("\n", " "), _MAX_LINE))


def _lines(found: Diagnosis, shown: int) -> Iterator[str]:
    if not found.failures:
        yield f"No command failed; the pipeline is {found.state.value}."
        return
    causes = len(found.causes) + found.more_causes
    reasons = "one reason" if causes == 1 else f"{causes} reasons"
    yield f"**{found.failures} of {found.counts.total} commands failed, for {reasons}.**"
    if found.baseline is not None:
        bad = f", bad since {found.first_bad}" if found.first_bad else ""
        yield f"Last good pipeline: {found.baseline.id}{bad}."
    for cause in found.causes[:shown]:
        yield from _cause(cause)
    if found.tests is not None and shown:
        yield ""
        yield f"**{found.tests.counts.failed} tests failed:**"
        yield ""
        tests = found.tests.tests[: 2 * shown]
        yield from (f"    {shortened(clean(line_of_test(each)), _MAX_LINE)}" for each in tests)
    if found.annotations and shown:
        yield from ("", "**Lines of files:**", "")
        notes = found.annotations[: 2 * shown]
        yield from (f"    {shortened(clean(line_of(each)), _MAX_LINE)}" for each in notes)
    suspects = [each for each in found.changes if each.suspect]
    if suspects:
        yield ""
        yield "Suspects:"
        for each in suspects[:5]:
            names = ", ".join(map(escaped, each.names[:5] or (each.name,)))
            yield f"- {each.kind}: {names}"
    yield ""
    yield f"`conducto explain {found.pipeline}` shows all of it."


def _cause(cause: FailureCause) -> Iterator[str]:
    rest = cause.count - len(cause.paths)
    more = f" and {rest} more" if rest else ""
    paths = ", ".join(map(escaped, cause.paths))
    new = "new" if cause.since is None else f"since {cause.since}"
    yield ""
    yield f"**{cause.count} x {escaped(cause.reason)}** ({new}): {paths}{more}"
    found = cause.excerpt
    lines = [cause.error] if found is None else list(found.lines)
    if found is not None:
        middle = len(lines) - 1 if found.error is None else found.error
        lines = lines[max(0, middle - _LINES + 3) : middle + 3]
    # An indented block ends with the first line that is not indented: no text can close it.
    yield ""
    yield from (f"    {shortened(clean(line), _MAX_LINE)}" for line in lines if line.strip())
