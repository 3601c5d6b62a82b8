"""Serve ministack, an emulated AWS, under AWS's own names: ``python -m system.deploy.server``.

Runs in ministack's own virtual environment. `system.deploy.shims` adds the features that ministack
lacks.
"""

from __future__ import annotations

import asyncio
import os
import sys
from importlib.metadata import version
from pathlib import Path

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app as gateway

from system.deploy import recorder, shims
from system.deploy.programs import MINISTACK


def main() -> None:
    """Apply the shims and serve until the process is stopped."""
    if not MINISTACK.endswith(f"=={version('ministack')}"):
        sys.exit(f"the shims are written for {MINISTACK}; check each before using another version")
    folder = Path(os.environ["CONDUCTO_TEST_DEPLOY"])
    shims.apply_all()
    recorder.record(folder / "calls")
    config = Config()
    config.bind = ["0.0.0.0:443"]
    config.insecure_bind = ["0.0.0.0:4566"]
    config.certfile, config.keyfile = str(folder / "server.pem"), str(folder / "server.key")
    config.keep_alive_timeout = 75
    asyncio.run(serve(gateway.app, config))


if __name__ == "__main__":
    main()
