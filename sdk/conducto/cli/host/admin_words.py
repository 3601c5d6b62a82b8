"""The words after ``conducto admin``, apart from what carries them out: that is slow to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conducto.model.deployment import PERMISSIONS

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the words after ``conducto admin``."""
    kinds = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    mint = _kind(kinds, "mint-token", "make a token for a person or a machine")
    mint.add_argument("--user", required=True, help="whose it is")
    mint.add_argument(
        "--permission",
        action="append",
        choices=PERMISSIONS,
        help="what it allows, once for each (default: everything)",
    )
    mint.add_argument("--days", type=float, help="after which it ends (default: never)")
    _kind(kinds, "tokens", "list an organisation's tokens")
    revoke = _kind(kinds, "revoke-token", "take a token back")
    revoke.add_argument("token", metavar="TOKEN_ID", help="its id, as 'admin tokens' lists it")
    plan = _kind(kinds, "set-plan", "change what an organisation may do at once")
    plan.add_argument("--name", help="of the plan")
    plan.add_argument("--max-workers", type=int, help="workers at once")
    plan.add_argument("--max-pipelines", type=int, help="active pipelines")
    plan.add_argument("--max-cpu", type=float, help="vCPUs of one worker")
    minutes = plan.add_mutually_exclusive_group()
    minutes.add_argument("--exec-minutes", type=float, help="minutes of workers a month")
    minutes.add_argument("--unlimited-minutes", action="store_true", help="any number of them")
    _kind(kinds, "plan", "show an organisation's plan")


def _kind(kinds: Any, name: str, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = kinds.add_parser(name, help=summary, description=summary)
    parser.add_argument("--org", required=True, help="the organisation")
    parser.add_argument(
        "--stage",
        default="main",
        help="the installation (default: main); emulator: the running 'conducto cloud-emulator'",
    )
    parser.add_argument("--region", help="AWS region (default: that of the AWS configuration)")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    return parser
