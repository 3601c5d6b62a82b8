"""One call in a fork of the template: its state, and its end."""

# ruff: noqa: B905, PLC0415, S110, SIM905, SLF001
# A fork must not find modules that a new interpreter lacks: hence local imports, and
# `_signal` instead of `signal`.

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import sys

from conducto.tools.fork_server.template import shown, stat_of
from conducto.tools.fork_server.watch import is_installed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Optional, Tuple

    from conducto.tools.fork_server.template import Template

_CHUNK = 65_536
#: Variables that C libraries read at import, unseen by us: names, and beginnings of names.
_READ_IN_C = frozenset(("PATH", "HOME", "TZ", "LANG", "LANGUAGE", "ENV", "BASH_ENV"))
_READ_IN_C_ALSO = tuple(
    "PYTHON LD_ LC_ OMP_ GOMP_ KMP_ MKL_ OPENBLAS_ GOTO_ BLIS_ VECLIB_ NUMEXPR_ MALLOC_ GLIBC_ "
    "CUDA_ NVIDIA_ TORCH_ PYTORCH_ TF_ JAX_ XLA_ GRPC_ ARROW_ NPY_ SSL_ OPENSSL_".split()
)


class ForkedCall:
    """A call in a fork.

    Attributes:
        active: Whether this process is a fork; False in a new interpreter and in the template.
    """

    def __init__(self, template: Template) -> None:
        self._template = template
        self.active = False

    def begin(self, ready: int, incoming: int, messages: int, *, collect: bool) -> List[str]:
        """Wait for the call, read it and set its state; return its words.

        Args:
            ready: Pipe with a byte when the call arrives, and an end of file if the template ends.
            incoming: FIFO with the call.
            messages: FIFO that tells whether the function starts.
            collect: Whether garbage is collected.
        """
        self._open_streams()
        if not os.read(ready, 1):
            os._exit(0)
        self.active = True
        # A signal for the call is delivered when its handlers are set.
        blocked = _signal.pthread_sigmask(_signal.SIG_BLOCK, self._template.handlers)
        os.close(ready)
        variables, words = _read(incoming)
        refusal = self._difference(variables)
        os.write(messages, os.fsencode(f"{refusal or 'started'}\n"))
        if refusal is not None:
            os._exit(0)
        os.close(incoming)
        os.close(messages)
        self._print_again()
        self._set_signals(blocked)
        self._set_environment(variables)
        self._set_arguments(words)
        self._set_seeds()
        _refresh_clocks()
        if collect:
            import gc

            gc.enable()
        return words

    def _difference(self, variables: Dict[str, str]) -> Optional[str]:
        """Return why a new import could differ from that of the template."""
        template = self._template
        for name, value in variables.items():
            if template.before.get(name) != value and self._is_read(name):
                return "other " + shown(
                    f"the import reads the variable {name}, which the node sets"
                )
        for name, stat in template.stats.items():
            if stat_of(name) != stat:
                return "stale " + shown(f"{name} has changed")
        return None

    def _is_read(self, name: str) -> bool:
        return (
            name in self._template.watch.names
            or name in _READ_IN_C
            or name.startswith(_READ_IN_C_ALSO)
        )

    def _open_streams(self) -> None:
        """Open the streams again, so that flags that the function sets stay its own."""
        os.setsid()
        for fd, stream in zip((1, 2), self._template.streams):
            reopened = _reopened(stream)
            os.dup2(reopened, fd)
            os.close(stream)
            if reopened != stream:
                os.close(reopened)
        _write("/proc/self/oom_score_adj", "100")  # the kernel kills the fork, not the template

    def _print_again(self) -> None:
        """Print what the import printed."""
        for fd, text in zip((1, 2), self._template.printed):
            while text:
                text = text[os.write(fd, text) :]  # noqa: PLW2901 (what is left)

    def _set_signals(self, blocked: Iterable[int]) -> None:
        for number, handler in self._template.handlers.items():
            if handler is not None:
                _signal.signal(number, handler)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, blocked)

    def _set_environment(self, variables: Dict[str, str]) -> None:
        for name, value in variables.items():
            if name not in self._template.changed:
                os.environ[name] = value

    def _set_arguments(self, words: List[str]) -> None:
        sys.argv[:] = [self._template.file, *words]
        original = getattr(sys, "orig_argv", None)
        if original is not None:
            original += words

    def _set_seeds(self) -> None:
        modules = sys.modules
        if self._template.random_state is not None:  # the module itself seeds again in a fork
            modules["random"].setstate(self._template.random_state)
        if self._template.reseed_numpy:
            modules["numpy.random.mtrand"]._rand.seed()
        process = modules.get("multiprocessing.process")
        if process is not None:
            key = process.AuthenticationString(os.urandom(32))
            process.current_process()._config["authkey"] = key

    def end(self, code: Any) -> None:
        """End the fork like an interpreter, but keep the imported modules: that takes long.

        Args:
            code: The argument of SystemExit.
        """
        if not self.active:
            return
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 (the function may have replaced them)
            return  # the interpreter has its own message and exit code for this
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
        _run_exit_functions()
        self._close_files()
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 (as above)
            code = 120  # as Python does
        os._exit((code or 0) & 0xFF)

    def _close_files(self) -> None:
        """Delete the objects that the function left, and write buffered output."""
        import _io  # unlike the ABCs of io, its class is quick to check each type against
        import gc

        # Only few modules are touched: each access copies a page of the template.
        template = self._template
        count = len(sys.modules) - template.modules
        added = [name for name, _ in zip(reversed(sys.modules), range(count))]
        for module in (*template.own, *(sys.modules[name] for name in added)):
            if not is_installed(getattr(module, "__file__", None) or os.__file__):
                for each in list(vars(module)):
                    if not each.startswith("__"):
                        vars(module)[each] = None
        gc.collect()
        for thing in gc.get_objects():  # objects of the template are not among them
            if isinstance(thing, _io._IOBase):
                try:
                    if not thing.closed:
                        thing.flush()
                except Exception:  # noqa: BLE001 (as at the end of an interpreter)
                    pass


def _read(incoming: int) -> Tuple[Dict[str, str], List[str]]:
    """Return the variables and the words of the call."""
    data = b""
    while True:
        data += os.read(incoming, _CHUNK)
        variables, end, rest = _variables(data)
        if not end:
            continue
        count, found, words = rest.partition(b"\0")
        if found and words.count(b"\0") == int(count):
            return variables, [os.fsdecode(word) for word in words.split(b"\0")[:-1]]


def _variables(data: bytes) -> Tuple[Dict[str, str], bytes, bytes]:
    if data.startswith(b"\0"):
        return {}, b"\0", data[1:]
    head, end, rest = data.partition(b"\0\0")
    pairs = [os.fsdecode(pair).split("=", 1) for pair in head.split(b"\0")] if end else []
    return {name: value for name, value in pairs}, end, rest  # noqa: C416 (pairs are lists)


def _reopened(fd: int) -> int:
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY)
    except OSError:  # a socket, or a pipe of another user
        return fd


def _run_exit_functions() -> None:
    import atexit

    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    atexit._run_exitfuncs()


def _refresh_clocks() -> None:
    """Set the start time that `logging` took at its import."""
    logging: Any = sys.modules.get("logging")
    if logging is not None:
        import time

        start = logging._startTime
        logging._startTime = time.time_ns() if isinstance(start, int) else time.time()


def _write(path: str, text: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY)
        os.write(fd, text.encode())
        os.close(fd)
    except OSError:
        pass
