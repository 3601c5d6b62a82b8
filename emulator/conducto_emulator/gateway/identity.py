"""An OpenID provider in Cognito's place: a process of Node, for ``--identity``."""

import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from conducto_core.installation.names import Variables
from conducto_emulator.moto.server import free_port

SOURCE = Path(__file__).resolve().parents[2] / "identity_provider"
CLIENT = "conducto"
_FILES = ("package.json", "package-lock.json", ".npmrc", "server.mjs")
_HOST = "127.0.0.1"
_INSTALL_SECONDS = 300.0
_STOP_SECONDS = 5.0


class IdentityError(Exception):
    """The provider cannot start; the message has the remedy."""


class IdentityProvider:
    """The provider's process.

    Args:
        page: Origin of the web app.
        cache: Directory in which its packages are installed.
        port: Its port; 0 for a free one.

    Attributes:
        issuer: Its address.
    """

    def __init__(self, page: str, cache: Path, port: int = 0) -> None:
        self._port = port or free_port(_HOST)
        self.issuer = f"http://{_HOST}:{self._port}"
        self._page = page
        self._cache = cache
        self._process: subprocess.Popen[str] | None = None

    def start(self, invited: Callable[[str], bool]) -> None:
        """Start it; return when it is ready. The first start installs its packages.

        Args:
            invited: Returns whether an address may sign up.

        Raises:
            IdentityError: Node is missing, or the provider does not start.
        """
        node = _program("node")
        command = [node, str(_installed(self._cache) / "server.mjs"), str(self._port)]
        self._process = subprocess.Popen(  # noqa: S603  our own program
            [*command, f"{self._page}/signed-in"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in self._process.stdout or ():
            if line.strip() == "ready":
                arguments = (self._process, invited)
                threading.Thread(target=_respond, args=arguments, daemon=True).start()
                return
        raise IdentityError(f"the identity provider ended with {self._process.wait()}; see the log")

    def close(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables of the functions."""
        return {Variables.IDENTITY_ISSUER: self.issuer, Variables.IDENTITY_CLIENT_ID: CLIENT}

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings of the web app's sign-in page (``/identity.json``)."""
        return {
            "issuer": self.issuer,
            "client": CLIENT,
            "authorize": f"{self.issuer}/auth",
            "token": f"{self.issuer}/token",
        }


def _respond(process: "subprocess.Popen[str]", invited: Callable[[str], bool]) -> None:
    """Respond to the questions of the provider until it ends."""
    for line in process.stdout or ():
        question, _, address = line.strip().partition(" ")
        if question == "invited" and process.stdin is not None:
            process.stdin.write("yes\n" if invited(address) else "no\n")
            process.stdin.flush()


def _installed(cache: Path) -> Path:
    """Return the directory of the provider with its packages, installed once for each version."""
    content = b"".join((SOURCE / name).read_bytes() for name in _FILES)
    target = cache / f"identity-{sha256(content).hexdigest()[:12]}"
    if (target / "installed").exists():
        return target
    npm = _program("npm")
    target.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        shutil.copyfile(SOURCE / name, target / name)
    result = subprocess.run(  # noqa: S603  our own packages
        [npm, "ci", "--omit=dev", "--ignore-scripts"],
        cwd=target,
        capture_output=True,
        text=True,
        timeout=_INSTALL_SECONDS,
        check=False,
    )
    if result.returncode != 0:
        raise IdentityError(f"npm cannot install the identity provider: {result.stderr[-2000:]}")
    (target / "installed").touch()
    return target


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise IdentityError(
            f"--identity needs Node.js 20 or later, and {name!r} is not on the PATH; install it, "
            "or start the emulator without --identity and log in with a token"
        )
    return found
