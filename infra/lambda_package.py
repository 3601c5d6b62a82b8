"""The directory that Chalice packages: the app and the parts of our packages that it imports.

Chalice packages a project directory completely, including ``vendor``. This module assembles one
without the command line, test fakes and byte code.
"""

import shutil
from importlib import resources
from pathlib import Path

from conducto_core.assistants import pages
from conducto_core.images.sdk_wheel import client_wheel

ROOT = Path(__file__).resolve().parent.parent
#: Parts of our packages that no function imports.
LEFT_OUT = frozenset({"conducto/nb", "conducto/tools"})
_PACKAGES = ("conducto", "conducto_core")
_FILES = ("app.py", "requirements.txt", ".chalice/config.json", ".chalice/policy-dev.json")


def stage_package(target: Path) -> Path:
    """Create the project directory at ``target``, replacing an existing one; return it.

    Chalice's own output in the directory stays: it repackages only changes.
    """
    for part in ("chalicelib", "vendor"):
        shutil.rmtree(target / part, ignore_errors=True)
    for name in _FILES:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / "functions" / name, place)
    _copy(ROOT / "functions/chalicelib", target / "chalicelib", "chalicelib")
    for name in _PACKAGES:  # works from a checkout and from an installation
        _copy(Path(str(resources.files(name))), target / "vendor" / name, name)
    _copy_pages(target / "vendor/conducto_files/docs")
    # The SDK wheel for images includes modules that no function imports
    # (`chalicelib.images.builds`).
    file, content = client_wheel()
    (target / "chalicelib/client").mkdir()
    (target / "chalicelib/client" / file).write_bytes(content)
    return target


def _copy_pages(target: Path) -> None:
    """Copy the pages of the documentation, in which assistants search."""
    for page in pages.all_pages():
        place = target / page.relative_to(pages.folder())
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(page, place)


def _copy(source: Path, target: Path, package: str) -> None:
    def ignored(directory: str, names: list[str]) -> set[str]:
        inside = Path(package) / Path(directory).relative_to(source)
        return {n for n in names if n == "__pycache__" or (inside / n).as_posix() in LEFT_OUT}

    shutil.copytree(source, target, ignore=ignored)
