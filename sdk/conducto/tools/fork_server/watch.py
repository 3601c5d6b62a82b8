"""A record of what an import reads, which ends at the first action that a fork cannot repeat."""

# ruff: noqa: PTH118, PTH120, SLF001
# pathlib is a heavy import; sys._getframe has no public equivalent.

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, NoReturn, Optional, Set, Tuple

#: Audit events of actions that a fork does not repeat, and how to name them.
_ACTIONS = {
    "subprocess.Popen": "starts a process",
    "os.system": "starts a process",
    "os.posix_spawn": "starts a process",
    "os.fork": "starts a process",
    "os.forkpty": "starts a process",
    "os.exec": "replaces the process",
    "socket.connect": "opens a connection",
    "socket.bind": "opens a port",
    "socket.sendto": "sends a message",
    "socket.sendmsg": "sends a message",
    "sqlite3.connect": "opens a database",
    "os.remove": "removes a file",
    "os.rename": "renames a file",
    "os.mkdir": "creates a directory",
    "os.rmdir": "removes a directory",
    "os.link": "links a file",
    "os.symlink": "links a file",
    "os.truncate": "changes a file",
    "os.chmod": "changes a file",
    "os.chown": "changes a file",
    "os.utime": "changes a file",
    "os.setxattr": "changes a file",
    "os.removexattr": "changes a file",
    "os.chdir": "changes the working directory",
    "os.kill": "sends a signal",
    "os.killpg": "sends a signal",
    "signal.pthread_kill": "sends a signal",
    "builtins.input": "reads its input",
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_LIBRARY = os.path.dirname(os.__file__) + os.sep
_SYSTEM = ("/proc/", "/dev/", "/sys/")


class ImportWatch:
    """Records the files and variables that an import reads. Make only one: audit hooks stay.

    Args:
        refuse: Ends the process with a reason and a place in the source.
        forbidden: Variables that the import must not read, because a call sets them.
    """

    def __init__(self, refuse: Callable[[str, str], NoReturn], forbidden: Set[str]) -> None:
        self.files: Set[str] = set()
        self.names: Set[str] = set()
        self._refuse = refuse
        self._forbidden = forbidden
        self._active = False
        _Recording.watch = self

    def start(self) -> None:
        """Start recording."""
        self._active = True
        os.environ.__class__ = _Recording
        os.environb.__class__ = _Recording
        sys.addaudithook(self._hook)

    def stop(self) -> None:
        """Stop recording."""
        self._active = False
        os.environ.__class__ = _Recording.__mro__[1]
        os.environb.__class__ = _Recording.__mro__[1]

    def read(self, name: Any) -> None:
        """Record that the import reads a variable."""
        name = os.fsdecode(name) if isinstance(name, (str, bytes)) else ""
        if name in self._forbidden:
            self._refuse(f"the import reads the variable {name}, which the node sets", _place())
        self.names.add(name)

    def read_all(self) -> NoReturn:
        """Record that the import reads all variables."""
        self._refuse("the import reads the whole environment", _place())

    def _hook(self, event: str, args: Tuple[Any, ...]) -> None:
        if not self._active:
            return
        if event == "open":
            self._opened(*args)
        elif event in _ACTIONS:
            if "__pycache__" not in str(args):
                self._refuse(f"the import {_ACTIONS[event]} ({event} {str(args)[:60]})", _place())
        elif event in {"os.listdir", "os.scandir", "glob.glob"} and not _by_importlib():
            self.files.add(_text(args[0]) or ".")

    def _opened(self, path: Any, mode: Optional[str], flags: int) -> None:
        name = _text(path)
        if not name or "__pycache__" in name:
            return
        if flags & _WRITES or (mode and set(mode) & set("wax+")):
            if not name.startswith("/dev/"):
                self._refuse(f"the import writes {name}", _place())
        elif not name.startswith(_SYSTEM) and not is_installed(name):
            self.files.add(name)


class _Recording(type(os.environ)):  # type: ignore[misc]
    """``os.environ`` while an import is watched."""

    __slots__ = ()
    watch: ImportWatch

    def __getitem__(self, key: Any) -> Any:
        self.watch.read(key)
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[Any]:
        self.watch.read_all()

    def copy(self) -> Dict[Any, Any]:
        self.watch.read_all()


def _place() -> str:
    """Return the file and the line that read or did something, outside of the standard library."""
    frame: Any = sys._getframe(2)
    first = ""
    while frame is not None:
        file = frame.f_code.co_filename
        place = f"{file}:{frame.f_lineno}"
        if not file.startswith("<frozen") and os.path.dirname(file) != os.path.dirname(__file__):
            first = first or place
            if not file.startswith(_LIBRARY):
                return place
        frame = frame.f_back
    return first


def _text(path: Any) -> str:
    return os.fsdecode(path) if isinstance(path, (str, bytes)) else ""


def _by_importlib() -> bool:
    """Return whether the import system lists a directory: it checks again by itself."""
    return sys._getframe(2).f_code.co_filename.startswith("<frozen importlib")


def is_installed(path: str) -> bool:
    """Return whether a file belongs to the interpreter or to an installed package."""
    if "site-packages" in path or "dist-packages" in path:
        return True
    roots = [
        _LIBRARY.rstrip(os.sep),
        *(os.path.join(each, "lib") for each in {sys.prefix, sys.base_prefix}),
    ]
    return path.startswith(tuple(f"{root}/" for root in roots))
