"""The template: a process that has imported a file and waits for calls."""

# ruff: noqa: B905, PLC0415, PTH100, PTH108, PTH109, PTH115, PTH116, PTH118, PTH123, PTH208
# pathlib is a heavy import, and a fork must not find modules that a new interpreter lacks: hence
# local imports, and `_signal` instead of `signal`.

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import gc
import os
import sys

from conducto.tools.fork_server.source import SourceCheck
from conducto.tools.fork_server.watch import ImportWatch, is_installed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Dict, List, NoReturn, Optional, Protocol, Set, Tuple

    class Call(Protocol):
        """The part of a `conducto.tools.fork_server.call.ForkedCall` that the template uses."""

        active: bool

        def begin(self, ready: int, incoming: int, messages: int, *, collect: bool) -> List[str]:
            """Wait for the call, read it and set its state; return its words."""


#: Modules that most calls import after the file.
_USED_LATER = (
    "conducto.script.arguments",
    "conducto.inspection.signatures",
    "conducto.inspection.codecs.arrays",
    "conducto.inspection.codecs.factory",
    "conducto.inspection.codecs.scalars",
    "conducto.inspection.codecs.unions",
    "conducto.results",
    "json",
)
#: Modules with state outside Python that a fork breaks, or that trace every line.
_UNSUITABLE = ("tensorflow", "grpc", "jax", "jaxlib", "ray", "pyspark", "cupy", "coverage")
#: Maximum bytes that an import may print: each call prints it again.
_MAX_PRINTED = 65_536
#: Part of the memory limit that a template may keep: other commands in the container need theirs.
_MAX_SHARE = 8
_MAX_REASON = 200
#: Maximum bytes of a message: a longer one would not be written at once.
_PIPE_BUF = 4096
#: Number from which descriptors are not used by programs.
_HIGH = 200
#: Signals that a template ignores, and that a fork handles as the import decided.
_SIGNALS = (
    "SIGTERM",
    "SIGINT",
    "SIGHUP",
    "SIGQUIT",
    "SIGPIPE",
    "SIGUSR1",
    "SIGUSR2",
    "SIGALRM",
    "SIGCHLD",
)


class Template:
    """An import of a file, watched from before it starts until the template waits.

    Attributes:
        file: The file, as given on the command line.
        before: The environment before the import.
        watch: What the import reads.
        printed: The output of the import, on stdout and stderr.
        changed: Variables that the import sets, or deletes (None).
        stats: ``{path: value that changes with the file}`` of what the import depends on.
        own: The user's modules.
        modules: Number of all modules.
        random_state: State of `random` after the import, if the import sets a seed.
        reseed_numpy: Whether each call gets its own random numbers from numpy.
        handlers: Signal handlers after the import.
        streams: Descriptors of the command server's stdout and stderr.
    """

    def __init__(
        self, file: str, directory: str, *, reply: int, streams: List[int], forbidden: Set[str]
    ) -> None:
        self.file = file
        self.before = dict(os.environ)
        self.changed: Dict[str, Optional[str]] = {}
        self.stats: Dict[str, object] = {}
        self.printed: List[bytes] = []
        self.own: List[ModuleType] = []
        self.modules = 0
        self.random_state: Optional[Tuple[object, ...]] = None
        self.reseed_numpy = False
        self.handlers: Dict[int, object] = {}
        self.streams = streams
        self._directory = directory
        self._reply = reply
        self._cwd = os.getcwd()
        self._ids = _ids()
        self._capture = [_temporary(directory), _temporary(directory)]
        self._fds: Set[int] = set()
        self.watch = ImportWatch(self.refuse, forbidden)

    def start(self) -> None:
        """Capture the output, and start the watch."""
        for fd, file in zip((1, 2), self._capture):
            os.dup2(file, fd)
        self._fds = _descriptors()
        self.watch.start()

    def refuse(self, reason: str, place: str = "") -> NoReturn:
        """End the process: each call needs a new interpreter."""
        self.reply(f"refused {shown(reason)}" + (f", at {place[-_MAX_REASON:]}" if place else ""))
        os._exit(0)

    def reply(self, text: str) -> None:
        """Tell the process that started this one the result."""
        os.write(self._reply, os.fsencode(text) + b"\n")

    def check(self) -> None:
        """Refuse the import if a fork could differ from a new interpreter."""
        self.watch.stop()
        # Text that is still in Python's buffers stays there: each fork inherits it.
        self.printed = [os.pread(fd, os.fstat(fd).st_size, 0) for fd in self._capture]
        reason = self._reason()
        if reason is not None:
            self.refuse(reason)
        self.own = _own_modules()
        own = {os.path.abspath(str(module.__file__)) for module in self.own}
        source = SourceCheck(own)
        if source.reason is not None:
            self.refuse(source.reason)
        self._keep_seeds(source.seeds)
        folders = {entry for entry in sys.path if entry and is_installed(entry)}
        self.stats = {name: stat_of(name) for name in {*self.watch.files, *own, *folders}}
        names = {*self.before, *os.environ}
        now = {name: os.environ.get(name) for name in names}
        self.changed = {k: v for k, v in now.items() if self.before.get(k) != v}

    def _reason(self) -> Optional[str]:
        """Return the reason if the import left something that a fork does not have."""
        if not (_libc().startswith("glibc") or sys.platform != "linux"):
            return "the C library is not glibc, the only one that is tested"
        if sum(map(len, self.printed)) > _MAX_PRINTED:
            return f"the import prints more than {_MAX_PRINTED} bytes"
        for fd in sorted(_descriptors() - self._fds):
            return f"the import leaves {os.readlink(f'/proc/self/fd/{fd}')} open"
        if os.getcwd() != self._cwd:
            return "the import changes the working directory"
        if _ids() != self._ids:
            return "the import changes the user"
        return _threads() or _tracer() or _left_in_libraries() or _too_large()

    def _keep_seeds(self, seeds: Set[str]) -> None:
        if "random" in seeds:
            self.random_state = sys.modules["random"].getstate()
        self.reseed_numpy = "numpy.random.mtrand" in sys.modules and "numpy" not in seeds

    def wait(self, call: Call) -> List[str]:
        """Become the template and serve calls; in a fork, return the words of its call."""
        if not _is_in_command_server():
            self.refuse("process 1 is not the command server")
        for name in _USED_LATER:
            __import__(name)
        self.modules = len(sys.modules)
        fifos = [os.path.join(self._directory, name) for name in ("call", "response", "started")]
        for fifo in fifos:
            if os.path.lexists(fifo):
                os.unlink(fifo)
            os.mkfifo(fifo, 0o600)
        # Open at both ends: neither process waits for the other, nor reads an end of file.
        incoming, responses, messages = (high(os.open(fifo, os.O_RDWR)) for fifo in fifos)
        os.set_blocking(messages, False)
        child = os.fork()
        if child:
            # OpenBLAS and others stop their threads before a fork. Others do not support it.
            threads = len(os.listdir("/proc/self/task")) - 1
            if threads:
                os.kill(child, 9)
                self.refuse(f"the import starts {threads} native thread(s)")
            self.reply(f"ready {child}")
            os._exit(0)
        try:
            self._detach()
            return self._serve(incoming, responses, messages, call)
        except BaseException:
            if call.active:
                raise
            os._exit(1)

    def _detach(self) -> None:
        """Leave the session, the streams and the signals of the process that imported."""
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        for fd in (null, self._reply, *self._capture):
            os.close(fd)
        for fd, stream in zip((1, 2), self.streams):
            os.dup2(stream, fd)
        for name in _SIGNALS:
            number = getattr(_signal, name)
            self.handlers[number] = _signal.getsignal(number)
            ignore = _signal.SIG_DFL if name == "SIGCHLD" else _signal.SIG_IGN
            _signal.signal(number, ignore)

    def _serve(self, incoming: int, responses: int, messages: int, call: Call) -> List[str]:
        enabled = gc.isenabled()
        gc.disable()
        gc.freeze()
        kind = b""
        while True:
            waiting, ready = os.pipe()
            # Before the next call arrives, because a fork takes a large part of a call's time.
            child = os.fork()
            if not child:
                os.close(ready)
                os.close(responses)
                return call.begin(waiting, incoming, messages, collect=enabled)
            os.close(waiting)
            kind = kind or os.read(incoming, 1)
            if kind not in (b"c", b"r"):
                os._exit(1)
            if kind == b"r" and not _start(ready):  # a command has killed the fork
                os.close(ready)
                os.waitpid(child, 0)
                continue
            text = self._end(child, messages) if kind == b"r" else _clean(child)
            os.close(ready)
            os.write(responses, text)
            kind = b""

    def _end(self, child: int, messages: int) -> bytes:
        """Wait for the end of a call, kill what it left, and return the response."""
        _pid, status = os.waitpid(child, 0)
        left = _left() if _kill_others() else 0
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        return b"%d %d %s" % (code, left, _message(messages))


def _start(ready: int) -> bool:
    """Let the waiting fork read its call; return whether it is alive."""
    try:
        os.write(ready, b"r")
    except BrokenPipeError:
        return False
    return True


def _clean(child: int) -> bytes:
    """Kill the waiting fork and what a command left; return the response."""
    _kill_others()
    os.waitpid(child, 0)
    return b"%d\n" % _left()


def _message(messages: int) -> bytes:
    """Return the line of a fork that has ended; an empty one if it was killed before it wrote."""
    try:
        return os.read(messages, _PIPE_BUF)
    except BlockingIOError:
        return b"\n"


def _kill_others() -> bool:
    """Kill every process except process 1 and this one; return whether there were others.

    The kernel spares these two.
    """
    try:
        os.kill(-1, 9)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _left() -> int:
    """Count the processes besides process 1 and this one, which only process 1 can collect.

    The template is not their parent.
    """
    return sum(name.isdigit() for name in os.listdir("/proc")) - 2


def _is_in_command_server() -> bool:
    """Return whether process 1 is the command server, and /proc shows this process namespace."""
    try:
        with open("/proc/1/cmdline", "rb") as file:
            words = file.read().split(b"\0")
        own = os.readlink("/proc/self")
    except OSError:
        return False
    names = {b"conducto-command-server", b"conducto-worker"}
    return own == str(os.getpid()) and bool(names.intersection(words))


def _ids() -> Tuple[int, ...]:
    return os.getuid(), os.geteuid(), os.getgid(), os.getegid()


def _own_modules() -> List[ModuleType]:
    """Return the user's modules."""
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        is_source = isinstance(file, str) and file.endswith(".py") and name != "__main__"
        if is_source and not is_installed(str(file)):
            found.append(module)
    return found


def _threads() -> Optional[str]:
    threading = sys.modules.get("threading")
    if threading is not None and threading.active_count() > 1:
        main = threading.main_thread()
        names = [thread.name for thread in threading.enumerate() if thread is not main]
        return f"the import starts a thread ({', '.join(names)})"
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return "the import leaves a process running"


def _tracer() -> Optional[str]:
    monitoring = getattr(sys, "monitoring", None)
    tools = monitoring and any(monitoring.get_tool(number) for number in range(6))
    if sys.gettrace() or sys.getprofile() or tools:
        return "the import starts a tracer or a profiler"
    if sys.flags.inspect:
        return "PYTHONINSPECT is set"
    if any(_signal.getitimer(which)[0] for which in (_signal.ITIMER_REAL, _signal.ITIMER_PROF)):
        return "the import sets a timer"
    return None


def _left_in_libraries() -> Optional[str]:
    for name in _UNSUITABLE:
        if name in sys.modules:
            return f"{name} does not support a fork"
    return None


def _too_large() -> Optional[str]:
    limit = _memory_limit()
    with open("/proc/self/status") as file:
        used = [int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon:")]
    if limit and used and used[0] > limit / _MAX_SHARE:
        return f"the import needs {used[0] >> 20} MB, more than 1/{_MAX_SHARE} of {limit >> 20} MB"
    return None


def _memory_limit() -> int:
    """Return the memory limit of the container in bytes, or 0."""
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(name) as file:
                text = file.read().strip()
        except OSError:
            continue
        return int(text) if text.isdigit() and int(text) < 1 << 50 else 0
    return 0


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        return ""


def shown(text: str) -> str:
    """Return a reason on one line of limited length."""
    return " ".join(text.split())[:_MAX_REASON]


def stat_of(path: str) -> object:
    """Return a value that changes if a file changes; None if there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _descriptors() -> Set[int]:
    found = set()
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            os.fstat(fd)
        except OSError:
            continue  # that of the listing
        found.add(fd)
    return found


def high(fd: int) -> int:
    """Move a descriptor to a number that no program relies on."""
    import fcntl

    new = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    os.close(fd)
    return new


def _temporary(directory: str) -> int:
    name = os.path.join(directory, f"import.{os.getpid()}")
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(name)
    return high(fd)
