"""Values of secrets in other stores, read by the programs of this machine.

Each program runs with the rights of the agent's user: ``aws``, ``vault`` and ``op`` have their own
configuration and login.
"""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from conducto.wire.printable import printable
from conducto_core.secrets.port import SecretStoreError
from conducto_core.secrets.rules import Reference, parse_reference, value_in

#: Seconds for which a value is used again, and which a program has.
KEPT_SECONDS = 30.0
TIMEOUT = 20.0
_MAX_SAID = 300
#: Runs a program; returns its exit code, its stdout and its stderr.
Run = Callable[[Sequence[str]], tuple[int, bytes, bytes]]


class SecretReferences:
    """Reads the values of references, each at most every 30 seconds.

    Args:
        run: Runs a program.
        clock: Seconds of a clock that only goes forward.
    """

    def __init__(self, run: Run | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run_program if run is None else run
        self._clock = clock
        self._kept: dict[str, tuple[float, str]] = {}
        self._lock = asyncio.Lock()

    async def read(self, references: Mapping[str, str]) -> dict[str, str]:
        """Return ``{name of the secret: value}`` of ``{name: reference}``.

        Raises:
            SecretStoreError: A store has no such value, or cannot be reached.
        """
        found = {}
        for name, text in references.items():
            async with self._lock:
                kept = self._kept.get(text)
                if kept is None or not 0 <= self._clock() - kept[0] < KEPT_SECONDS:
                    value = await asyncio.to_thread(self._value, name, text)
                    kept = self._kept[text] = self._clock(), value
            found[name] = kept[1]
        return found

    def _value(self, name: str, text: str) -> str:
        reference = parse_reference(text)
        command = command_of(reference)
        where = f"the secret {name} is {text}"
        try:
            code, output, errors = self._run(command)
        except FileNotFoundError:
            raise SecretStoreError(
                f"{where}, but the program {command[0]!r} is not installed here"
            ) from None
        except subprocess.TimeoutExpired:
            raise SecretStoreError(
                f"{where}, but {command[0]!r} did not answer within {TIMEOUT:g} s"
            ) from None
        if code != 0:
            lines = errors.decode(errors="replace").strip().splitlines() or [f"exit code {code}"]
            said = printable(lines[-1][:_MAX_SAID])
            raise SecretStoreError(f"{where}, which {command[0]!r} cannot read: {said}")
        return value_in(name, text, _text(where, reference, output))


def command_of(reference: Reference) -> list[str]:
    """Return the command that prints the value of a reference."""
    name, version = reference.name, reference.version
    match reference.store:
        case "aws-sm":
            asked = ["--version-id", version] if version is not None else []
            region = name.split(":")[3:4] if name.startswith("arn:") else []
            return [
                *("aws", "secretsmanager", "get-secret-value", "--secret-id", name, *asked),
                *(["--region", *region] if region and region[0] else []),
                *("--query", "SecretString", "--output", "text"),
            ]
        case "ssm":
            full = name if version is None else f"{name}:{version}"
            return [
                *("aws", "ssm", "get-parameter", "--with-decryption", "--name", full),
                *("--query", "Parameter.Value", "--output", "text"),
            ]
        case "vault":
            asked = [f"-version={version}"] if version is not None else []
            return ["vault", "kv", "get", f"-field={reference.key}", *asked, name]
        case _:
            return ["op", "read", "--no-newline", f"op://{name}"]


def run_program(command: Sequence[str]) -> tuple[int, bytes, bytes]:
    """Run a program without input."""
    program = shutil.which(command[0])
    if program is None:
        raise FileNotFoundError(command[0])
    done = subprocess.run(  # noqa: S603  the name and the words are checked
        [program, *command[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def _text(where: str, reference: Reference, output: bytes) -> str:
    """Return the text that a program printed; no error contains it."""
    try:
        text = output.decode()
    except UnicodeDecodeError:
        raise SecretStoreError(f"{where}, whose value is not UTF-8 text") from None
    return text if reference.store == "op" else text.removesuffix("\n")
