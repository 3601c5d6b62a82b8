"""The code that sets up a debug shell for who enters one. No I/O."""

from collections.abc import Mapping, Sequence
from importlib import resources

from conducto_worker.command_server import assignments, quoted
from conducto_worker.layout import ECS_VARIABLES


def entry_script() -> str:
    """Return what runs first in a session (``debug_entry.sh``)."""
    return resources.files("conducto_worker").joinpath("debug_entry.sh").read_text("utf-8")


def entry_code(
    argv: Sequence[str], env: Mapping[str, str], secrets: Mapping[str, str], workdir: str | None
) -> bytes:
    """Return the code that the script evaluates: it ends with the shell's own exit code.

    ECS's variables are not for commands (`conducto_worker.layout.user_entry`), so the shell is
    without them as well. The door is closed in the shell: what it leaves behind keeps nothing open.

    Raises:
        ValueError: a variable or its value is such as no environment can hold.
    """
    exports, others = assignments({**env, **secrets})
    words = [*(("env", *others) if others else ()), *argv]
    place = '"$_pwd"' if workdir is None else quoted(workdir)
    lines = [
        f"unset {' '.join(ECS_VARIABLES)}",
        exports or ":",
        f"cd {place} || cd /",
        f"{' '.join(map(quoted, words))} 8>&-",
        "exit $?",
    ]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
