"""Copy what the agent needs of its base image into the directory of a new root.

It runs in the first stage of the Dockerfile, with the base's Python and without other packages. The
result has Python, the libraries that it loads, certificates and the agent, and no shell.
"""

import compileall
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

AGENT = Path("/opt/conducto")
#: Files of the base besides Python: names of users, host names, and certificates.
_FILES = ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/ld.so.cache")
_TREES = ("/etc/ssl", "/usr/lib/ssl", "/usr/share/ca-certificates")
#: Parts of the standard library without use in a service.
_LEFT_OUT = re.compile(
    r"(__pycache__|test|tests|idlelib|tkinter|turtledemo|turtle\.py|ensurepip|lib2to3|pydoc_data"
    r"|pydoc\.py|doctest\.py|unittest|venv|sqlite3|curses|dbm|wsgiref|xmlrpc|config-.*"
    r"|site-packages|dist-packages|private"
    r"|_test.*\.so|_ctypes_test.*|_xxtest.*|xx.*\.so|_sqlite3.*|_tkinter.*|_curses.*|readline.*"
    r"|_dbm.*|_gdbm.*|nis\..*|_codecs_.*|_multibytecodec.*)"
)
_LIBRARY = re.compile(r"(/\S+) \(0x")
_ELF = b"\x7fELF"


class Root:
    """A directory that becomes the root of an image."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, path: Path) -> None:
        """Copy a file, or a directory with its files, and the symbolic links on the way to it."""
        place = Path("/")
        for number, part in enumerate(path.parts[1:], 2):
            place /= part
            if place.is_symlink():
                target = self._inside(place)
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.is_symlink():
                    target.symlink_to(place.readlink())
                there = Path(os.path.normpath(place.parent / place.readlink()))
                self.add(there.joinpath(*path.parts[number:]))
                return
        if path.is_dir():
            self._inside(path).mkdir(parents=True, exist_ok=True)
            for each in sorted(path.iterdir()):
                if not _LEFT_OUT.fullmatch(each.name):
                    self.add(each)
        elif path.exists() and not self._inside(path).exists():
            self._inside(path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, self._inside(path))

    def programs(self) -> Iterator[Path]:
        """Yield the original paths of copied programs and libraries."""
        for path in self._folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    if file.read(4) == _ELF:
                        yield Path("/") / path.relative_to(self._folder)

    def compile(self, folder: Path, *, keep_sources: bool) -> None:
        """Compile modules, which a worker would otherwise do at each start."""
        inside = self._inside(folder)
        done = compileall.compile_dir(
            inside,
            maxlevels=20,
            quiet=1,
            legacy=not keep_sources,
            stripdir=str(self._folder),
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        if not done:
            raise SystemExit(f"{folder} cannot be compiled")
        for source in () if keep_sources else inside.rglob("*.py"):
            source.unlink()

    def _inside(self, path: Path) -> Path:
        return self._folder / path.relative_to("/")


def libraries_of(program: Path) -> list[Path]:
    command = ["ldd", str(program)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return [Path(found) for found in _LIBRARY.findall(said.stdout)]


def main(folder: Path) -> None:
    root = Root(folder)
    python, library = shutil.which("python3"), Path(sysconfig.get_path("stdlib"))
    if python is None:
        raise SystemExit("the base image has no python3")
    for path in (python, sys.executable, library, AGENT, *_FILES, *_TREES):
        root.add(Path(path))
    for program in list(root.programs()):
        for needed in libraries_of(program):
            root.add(needed)
    root.compile(library, keep_sources=False)
    root.compile(AGENT / "libraries", keep_sources=False)
    root.compile(AGENT / "packages", keep_sources=True)
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
