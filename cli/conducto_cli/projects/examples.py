"""The examples that this installation came with."""

from pathlib import Path

import conducto
from conducto.errors import UsageError


def examples() -> Path:
    """Return the directory of the examples.

    Raises:
        UsageError: The installation lacks them.
    """
    package = Path(next(iter(conducto.__path__))).resolve()
    # A wheel has them beside the package, a checkout above.
    for place in (package.parent / "conducto_files", package.parents[1]):
        if (place / "examples" / "demo" / "pipeline.py").is_file():
            return place / "examples"
    raise UsageError("this installation of Conducto came without the examples; reinstall it")
