"""The CDK app: ``cdk synth`` and ``cdk deploy`` run this file (see cdk.json).

Do not import it as ``app``: Chalice imports ``functions/app.py`` under that name in this process.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Chalice imports the app before it packages the directory: no byte code belongs in the zip.
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT), str(ROOT / "sdk"), str(ROOT / "core"), str(ROOT / "worker")]
# Chalice requires a region for its template; deployments use the target region.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
# `conducto deploy` checks the Node version; silence the box that CDK prints at each start.
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "18,20")

import aws_cdk as cdk  # noqa: E402  needs the path above

from infra.installation import Installation  # noqa: E402
from infra.settings import SettingsError, settings_from  # noqa: E402


def main() -> None:
    """Synthesise the installation that the context describes."""
    app = cdk.App()
    try:
        settings = settings_from(app.node.try_get_context)
    except SettingsError as error:
        sys.exit(f"conducto: {error}")
    Installation(app, settings)
    app.synth()


if __name__ == "__main__":
    main()
