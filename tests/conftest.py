"""What holds for the whole suite."""

from pathlib import Path

import pytest

from conducto_local.dispositions import reset_dispositions

# Tests send signals to the programs that they start, which inherit what this process ignores: all
# of them fail where the suite runs under nohup or in the background.
reset_dispositions()

HERE = Path(__file__).parent
#: Directories that a target of the Makefile searches for tests with a marker.
DIRECTORIES = {
    "cloud": {"cloud"},
    "docker": {"cloud", "contract", "crash", "docker", "runner", "web"},
    "web": {"web"},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a test that no target of the Makefile would run."""
    for item in items:
        directory = item.path.relative_to(HERE).parts[0]
        for marker, directories in DIRECTORIES.items():
            if item.get_closest_marker(marker) and directory not in directories:
                raise pytest.UsageError(
                    f"{item.nodeid} is marked {marker!r}: move it to a directory that the Makefile"
                    f" searches for such tests ({', '.join(sorted(directories))}),"
                    " or add its directory there and in tests/conftest.py"
                )
