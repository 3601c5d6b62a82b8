"""An older version of Conducto that `make test-deploy` upgrades from.

No other version has been released, so it is a copy of the checkout with a lower version number.
"""

from __future__ import annotations

import shutil
import sysconfig
import venv
from pathlib import Path

from conducto.version import __version__

ROOT = Path(__file__).resolve().parents[3]
VERSION = "0.9.0"
#: Directories that an installation of Conducto has on its path.
_SOURCES = ("sdk", "core", "cli", "local_runner", "worker", "web")
#: Files and directories of the checkout that `conducto deploy` needs.
_COPIED = (*_SOURCES, "functions", "infra", "cdk.json")
_IGNORED = shutil.ignore_patterns("__pycache__", "node_modules")


def install(folder: Path) -> str:
    """Make a virtual environment with the older version below ``folder``; return its Python."""
    place = folder / "older"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=_IGNORED)
        else:
            shutil.copy(source, place / name)
    _set_version(place / "sdk" / "conducto" / "version.py")
    environment = place / ".venv"
    venv.create(environment, symlinks=True)
    packages = sysconfig.get_path("purelib", "venv", {"base": str(environment)})
    lines = (*(str(place / source) for source in _SOURCES), sysconfig.get_path("purelib"))
    (Path(packages) / "older.pth").write_text("\n".join(lines) + "\n")
    return str(environment / "bin" / "python")


def _set_version(module: Path) -> None:
    text = module.read_text()
    if text.count(repr(__version__).replace("'", '"')) != 1:
        raise ValueError(f"{module} does not name the version {__version__} once")
    module.write_text(text.replace(__version__, VERSION))
