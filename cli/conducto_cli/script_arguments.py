"""The words of the commands that take a script: ``plan`` and ``compile``.

What stands behind FILE belongs to the script, so these commands read their words themselves; the
grammar has them for the reference and for completion.
"""

import argparse

REGION = "us-east-1"
ACCOUNT = "000000000000"
METHOD_HELP = "returns the tree, with its arguments; may be left out when only one method does"


def add_compile(parser: argparse.ArgumentParser) -> None:
    """Add what ``conducto compile`` takes in front of METHOD."""
    parser.add_argument("--graph", action="store_true", help="draw them as a Mermaid flowchart")
    parser.add_argument("--svg", metavar="FILE", help="draw them as a picture")
    parser.add_argument(
        "--region", metavar="R", default=REGION, help=f"AWS region (default: {REGION})"
    )
    parser.add_argument("--account", metavar="A", default=ACCOUNT, help="AWS account, 12 digits")
    parser.add_argument("file", metavar="FILE", help="the script of the pipeline")


def add_plan(parser: argparse.ArgumentParser) -> None:
    """Add what ``conducto plan`` takes in front of METHOD."""
    parser.add_argument(
        "--workers",
        type=int,
        choices=range(1, 1001),
        metavar="N",
        help="workers of one kind at once, at most (default: those of the plan that you are logged "
        "in with, else 2, as the free plan has)",
    )
    parser.add_argument("--spot", action="store_true", help="on Spot, which may be interrupted")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.add_argument("file", metavar="FILE", help="the script of the pipeline")


def add_method(parser: argparse.ArgumentParser) -> None:
    """Add the words behind FILE, for those who only read of them."""
    parser.add_argument("words", metavar="METHOD", nargs="*", help=METHOD_HELP)
