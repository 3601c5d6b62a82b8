"""Facts as a person reads them, wherever they are shown: in a terminal, in an exported page."""

from conducto.model.states import Cause

_CAUSES = {
    Cause.TIMEOUT: "timed out",
    Cause.OUT_OF_MEMORY: "out of memory",
    Cause.IMAGE: "not started",
    Cause.WORKER_LOST: "container lost",
    Cause.KILLED_BY_USER: "killed",
    Cause.LAZY: "printed no valid tree",
}


def cause_text(cause: Cause | None, exit_code: int | None) -> str:
    """Return why a node failed, in a few words: ``exit 1``, ``out of memory``."""
    if cause is None or cause is Cause.EXIT_CODE:
        return "failed" if exit_code is None else f"exit {exit_code}"
    return _CAUSES[cause]


def duration(seconds: float) -> str:
    """Return a time as people read it: ``0.8s``, ``42s``, ``3m 05s``, ``2h 03m``."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:  # noqa: PLR2004 - below it a tenth still tells something
        return f"{seconds:.1f}s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes == 0:
        return f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m" if hours else f"{minutes}m {rest:02d}s"
