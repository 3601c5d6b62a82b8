"""The version of this installation, and of its code."""

import os
from collections.abc import Iterator
from importlib import metadata

import conducto
import conducto_client
import conducto_core
import conducto_local
from conducto.version import __version__

#: Packages that the agent uses.
PACKAGES = (conducto, conducto_client, conducto_core, conducto_local)


def package_version() -> str:
    """Return the version of the installed distribution ``conducto``."""
    try:
        return metadata.version("conducto")
    except metadata.PackageNotFoundError:
        return __version__


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
