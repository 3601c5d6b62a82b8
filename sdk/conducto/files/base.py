"""The directory of all profiles."""

# pathlib is slow to import, and this runs at every call in a container.
# ruff: noqa: PTH100, PTH111, PTH118

from __future__ import annotations

import os


def base_dir() -> str:
    """Return its absolute path: ``CONDUCTO_BASE_DIR``, or ``~/.conducto``."""
    chosen = os.environ.get("CONDUCTO_BASE_DIR")
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    return os.path.join(os.path.expanduser("~"), ".conducto")
