"""The agent as a service of the user, so that it and its link survive a reboot.

systemd (Linux) or launchd (macOS) starts it, with the variables for proxies, certificates and the
engine of the shell that ran ``conducto agent enable``.
"""

import os
import plistlib
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from conducto.errors import UsageError
from conducto_local.agent.launcher import agent_command
from conducto_local.agent.state_dir import StateDir

#: Variables that a shell has and a service does not.
_VARIABLES = (
    "PATH",
    "DOCKER_HOST",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
)
_PRIVATE_FILE = 0o600
_SECONDS = 30


def systemd_unit(command: Sequence[str], variables: Mapping[str, str]) -> str:
    """Return the text of a unit.

    An agent that is stopped on purpose is not started again, one that crashed is.
    """
    lines = [f"Environment={_quoted(f'{name}={value}')}" for name, value in variables.items()]
    return "\n".join(
        [
            "[Unit]",
            "Description=Conducto agent",
            "Wants=network-online.target",
            "After=network-online.target",
            "",
            "[Service]",
            f"ExecStart={' '.join(map(_quoted, command))}",
            *lines,
            "WorkingDirectory=/",
            "Restart=on-failure",
            "RestartSec=10",
            "KillMode=mixed",
            "TimeoutStopSec=30",
            "",
            "[Install]",
            "WantedBy=default.target",
            "",
        ]
    )


def launchd_plist(label: str, command: Sequence[str], variables: Mapping[str, str]) -> bytes:
    return plistlib.dumps(
        {
            "Label": label,
            "ProgramArguments": list(command),
            "EnvironmentVariables": dict(variables),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 10,
            "WorkingDirectory": "/",
        }
    )


def _quoted(text: str) -> str:
    """Return a word of a unit: quoted, without specifiers or variables."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return '"' + escaped.replace("$", "$$").replace("\n", "\\n") + '"'


class UserService:
    """The service of one profile.

    Args:
        platform: As `sys.platform`.
    """

    def __init__(self, home: StateDir, platform: str = sys.platform) -> None:
        self._home = home
        self._is_mac = platform == "darwin"
        self._name = f"conducto-agent-{home.profile}"

    @property
    def path(self) -> Path:
        if self._is_mac:
            return Path.home() / "Library" / "LaunchAgents" / f"{self._name}.plist"
        config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        return Path(config) / "systemd" / "user" / f"{self._name}.service"

    def enable(self, *, start: bool) -> list[str]:
        """Install the service; return sentences about it.

        Args:
            start: Also start it now: no agent is running.

        Raises:
            UsageError: The machine has no such services, or rejects it.
        """
        self._check()
        self._write()
        if self._is_mac:
            if start:
                _run("launchctl", "bootstrap", f"gui/{os.getuid()}", str(self.path))
            return [f"the agent starts when you log in ({self.path})"]
        _run("systemctl", "--user", "daemon-reload")
        _run("systemctl", "--user", "enable", *(["--now"] if start else []), self.path.name)
        return [f"the agent starts when you log in ({self.path})", _linger()]

    def disable(self) -> bool:
        """Remove the service; return whether it was installed. A running agent continues."""
        if not self.path.exists():
            return False
        if self._is_mac:
            _try("launchctl", "bootout", f"gui/{os.getuid()}/{self._name}")
        else:
            _try("systemctl", "--user", "disable", self.path.name)
        self.path.unlink(missing_ok=True)
        return True

    def _check(self) -> None:
        tool = "launchctl" if self._is_mac else "systemctl"
        if shutil.which(tool) is None:
            raise UsageError(
                f"this machine has no {tool}, so no service was installed; start the agent at "
                "log-in in another way: conducto agent start"
            )

    def _write(self) -> None:
        command = agent_command(self._home)
        given = {name: os.environ[name] for name in _VARIABLES if os.environ.get(name)}
        variables = {**given, "CONDUCTO_BASE_DIR": str(self._home.base)}
        content = (
            launchd_plist(self._name, command, variables)
            if self._is_mac
            else systemd_unit(command, variables).encode()
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        # A proxy's URL may contain a password.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


def _linger() -> str:
    if _try("loginctl", "enable-linger"):
        return "it also starts with the machine, before you log in"
    return "to start it with the machine, before you log in: sudo loginctl enable-linger $USER"


def _run(*command: str) -> None:
    done = _done(command)
    if done is None or done.returncode:
        reason = "not found" if done is None else done.stderr.strip() or f"code {done.returncode}"
        raise UsageError(
            f"{' '.join(command)} failed: {reason}; start the agent at log-in in another way: "
            "conducto agent start"
        )


def _try(*command: str) -> bool:
    done = _done(command)
    return done is not None and done.returncode == 0


def _done(command: Sequence[str]) -> "subprocess.CompletedProcess[str] | None":
    try:
        return subprocess.run(  # noqa: S603  fixed programs
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
