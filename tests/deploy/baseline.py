"""The version that `make test-deploy` upgrades from.

The file ``baseline`` names its tag and its commit. The commit counts: each clone of main has it,
also a clone without tags. To move the baseline, tag a commit of main and write both into the file.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sysconfig
import tarfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(__file__).with_name("baseline")
#: Directories that an installation of Conducto has on its path.
_SOURCES = ("sdk", "local_runner", "worker")


class BaselineError(Exception):
    """The checkout does not have the commit."""


def named() -> tuple[str, str]:
    """Return the baseline's tag and commit."""
    tag, commit = FILE.read_text().split()
    return tag, commit


def interpreter(folder: Path) -> str:
    """Make a virtual environment with the baseline's Conducto; return its Python.

    Third-party libraries are those of the checkout; the deployed code gets the baseline's own.

    Raises:
        BaselineError: the checkout does not have the commit.
    """
    place = folder / "baseline"
    shutil.rmtree(place, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(archive_of(ROOT, named()[1]))) as archive:
        archive.extractall(place, filter="data")
    environment = place / ".venv"
    venv.create(environment, symlinks=True)
    packages = sysconfig.get_path("purelib", "venv", {"base": str(environment)})
    libraries = sysconfig.get_path("purelib")
    lines = (*(str(place / source) for source in _SOURCES), libraries)
    (Path(packages) / "baseline.pth").write_text("\n".join(lines) + "\n")
    return str(environment / "bin" / "python")


def has_history() -> bool:
    """Return whether the checkout is a clone with its whole history.

    An export and a shallow clone hold no earlier version to upgrade from.
    """
    words = ("git", "-c", "safe.directory=*", "-C", str(ROOT), "rev-parse")
    asked = (*words, "--is-shallow-repository")
    return subprocess.run(asked, capture_output=True, check=False).stdout.strip() == b"false"


def archive_of(repository: Path, commit: str) -> bytes:
    """Return the files of a commit, as a tar archive.

    Raises:
        BaselineError: the repository does not have it.
    """
    words = ("git", "-c", "safe.directory=*", "-C", str(repository), "archive", commit)
    done = subprocess.run(words, capture_output=True, check=False)
    if done.returncode != 0:
        raise BaselineError(
            f"{repository} has no commit {commit}, which {FILE.name} names: {done.stderr.decode()}"
            "In a shallow clone, run: git fetch --unshallow"
        )
    return done.stdout
