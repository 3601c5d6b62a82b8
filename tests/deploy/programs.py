"""Programs that only the test needs: ministack, CDK's command line and its Node."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

#: The shims replace private functions of this version.
MINISTACK = "ministack[full]==1.5.33"
#: Read when ministack is imported. MINISTACK_HOST: how the names of APIs and buckets end.
#: Unlike AWS, ministack gives functions an endpoint; their SDK is to ignore it.
MINISTACK_ENVIRONMENT = {
    "MINISTACK_HOST": "us-east-1.amazonaws.com",
    "GATEWAY_PORT": "4566",
    "LAMBDA_EXECUTOR": "local",
    "AUTH": "true",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "MINISTACK_CODEBUILD_EXECUTE": "1",
    "IOT_MTLS_ENABLED": "0",
    "SFTP_ENABLED": "0",
}
#: CDK's command line needs Node 22, which npm has as a package.
NODE_PACKAGES = ("aws-cdk@2.1148.1", "node@22")


def install(folder: Path) -> None:
    """Install what is not in ``folder`` yet."""
    python = ministack_python(folder)
    done = folder / "programs"
    wanted = "\n".join((MINISTACK, *NODE_PACKAGES, sys.version))
    if done.exists() and done.read_text() == wanted:
        return
    venv.create(folder / "ministack", clear=True, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", MINISTACK], check=True)
    words = ("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder))
    subprocess.run([*words, *NODE_PACKAGES], check=True)
    done.write_text(wanted)


def ministack_python(folder: Path) -> Path:
    """Return the Python that has ministack: its libraries are older than ours."""
    return folder / "ministack" / "bin" / "python"
