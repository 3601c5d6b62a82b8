"""A mark of the code of this installation, besides its version."""

import os
from collections.abc import Iterator

import conducto
import conducto_client
import conducto_core
import conducto_local
from conducto_core.images.sdk_wheel import package_version

#: Packages that the agent uses.
PACKAGES = (conducto, conducto_client, conducto_core, conducto_local)


def code_mark() -> str | None:
    """Return a mark that changes with the code of a checkout; None for a release.

    A checkout keeps its version while its code changes. The mark is the number of source files and
    the time of the newest change.
    """
    if "dev" not in package_version():
        return None
    times = [time for package in PACKAGES for top in package.__path__ for time in _changes(top)]
    return f"{len(times)}-{max(times)}"


def _changes(top: str) -> Iterator[int]:
    """Yield the modification time of each source file below a directory, in nanoseconds."""
    with os.scandir(top) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _changes(entry.path)
            elif entry.name.endswith((".py", ".sh")):
                yield entry.stat().st_mtime_ns
