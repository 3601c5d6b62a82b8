"""Programs that only the test needs: ministack, CDK's command line and its Node."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: The shims replace private functions of this version.
MINISTACK = "ministack[full]==1.5.33"
#: Read when ministack is imported. MINISTACK_HOST: how the names of APIs and buckets end.
#: Unlike AWS, ministack gives functions an endpoint; their SDK is to ignore it.
MINISTACK_ENVIRONMENT = {
    "MINISTACK_HOST": "us-east-1.amazonaws.com",
    "GATEWAY_PORT": "4566",
    "LAMBDA_EXECUTOR": "local",
    "LAMBDA_ACCOUNT_CONCURRENCY": "1000",
    "AUTH": "true",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "MINISTACK_CODEBUILD_EXECUTE": "1",
    "IOT_MTLS_ENABLED": "0",
    "SFTP_ENABLED": "0",
}
#: CDK's command line needs Node 22, which npm has as a package.
NODE_PACKAGES = ("aws-cdk@2.1148.1", "node@22")


def install(folder: Path) -> None:
    """Install the missing programs into ``folder``."""
    install_ministack(folder)
    _once(folder / "node-packages", NODE_PACKAGES, lambda: _install_node_packages(folder))


def install_ministack(folder: Path) -> None:
    """Install ministack, if it is not in ``folder`` yet."""
    folder.mkdir(parents=True, exist_ok=True)
    _once(folder / "programs", (MINISTACK, sys.version), lambda: _install_ministack(folder))


def _once(done: Path, wanted: Sequence[str], install: Callable[[], None]) -> None:
    text = "\n".join(wanted)
    if not done.exists() or done.read_text() != text:
        install()
        done.write_text(text)


def _install_ministack(folder: Path) -> None:
    venv.create(folder / "ministack", clear=True, with_pip=True)
    python = ministack_python(folder)
    subprocess.run([python, "-m", "pip", "install", "--quiet", MINISTACK], check=True)


def _install_node_packages(folder: Path) -> None:
    words = ("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder))
    subprocess.run([*words, *NODE_PACKAGES], check=True)


def ministack_python(folder: Path) -> Path:
    """Return the Python that has ministack: its libraries are older than the checkout's."""
    return folder / "ministack" / "bin" / "python"
