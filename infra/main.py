"""The CDK app: ``cdk synth`` and ``cdk deploy`` run this file (see cdk.json).

Do not import it as ``app``: Chalice imports ``functions/app.py`` under that name in this process.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Chalice imports the app before it packages the directory: no byte code belongs in the zip.
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT), *(str(ROOT / name) for name in ("sdk", "core", "worker", "cli"))]
# Chalice requires a region for its template; deployments use the target region.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
# `conducto deploy` checks the Node version; silence the box that CDK prints at each start.
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "18,20")

import aws_cdk as cdk  # noqa: E402  needs the path above

from conducto_cli.deploy.aws import BotoAccount  # noqa: E402
from conducto_cli.deploy.checks import function_room  # noqa: E402
from conducto_cli.deploy.choices import pinned_zone  # noqa: E402
from conducto_cli.deploy.port import AccountError  # noqa: E402
from conducto_core.installation.names import SETTINGS  # noqa: E402
from infra.installation import Installation  # noqa: E402
from infra.settings import DEFAULTS, SettingsError, settings_from  # noqa: E402


def main() -> None:
    """Synthesise the installation that the context describes."""
    app = cdk.App()
    given = {name: app.node.try_get_context(name) for name in ("stage", *SETTINGS)}
    try:
        settings = settings_from({**given, **_chosen(given)}.get)
    except (SettingsError, AccountError) as error:
        sys.exit(f"conducto: {error}")
    Installation(app, settings)
    app.synth()


def _chosen(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the region, the room for functions, and the zone if none is given (plain CDK)."""
    region = os.environ.get("CDK_DEFAULT_REGION") or DEFAULTS.region
    settings = {name: str(value) for name, value in given.items() if value is not None}
    stage = settings.get("stage") or DEFAULTS.stage
    account = BotoAccount(region)
    chosen = {"region": region, **pinned_zone(account, stage, settings)}
    try:
        return {**chosen, "function_room": str(function_room(account, stage))}
    except AccountError as error:
        print(f"conducto: no concurrency is reserved for functions: {error}", file=sys.stderr)  # noqa: T201
        return chosen


if __name__ == "__main__":
    main()
