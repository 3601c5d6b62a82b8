"""The words after ``conducto deploy``, ``destroy``, ``doctor`` and ``usage``."""

from __future__ import annotations

import argparse
import re

from conducto.model.deployment import EMULATOR_STAGE, SETTINGS

_STAGE = re.compile(r"[a-z][a-z0-9-]{0,15}")
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


def add_deploy(parser: argparse.ArgumentParser) -> None:
    """Describe the words after ``conducto deploy``."""
    _add_place(parser)
    parser.add_argument(
        "-c",
        dest="setting",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a setting, kept for later deployments; an empty value takes it back: "
        + ", ".join(SETTINGS),
    )
    parser.add_argument("--org", default="main", help="organisation of the first token")
    parser.add_argument("--user", help="whose the first token is (default: your name here)")
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    parser.add_argument(
        "--downgrade", action="store_true", help="also where a newer version is deployed"
    )


def add_destroy(parser: argparse.ArgumentParser) -> None:
    """Describe the words after ``conducto destroy``."""
    _add_place(parser)
    parser.add_argument("--stop-workers", action="store_true", help="also while commands run")
    parser.add_argument("--yes", action="store_true", help="ask nothing")


def add_doctor(parser: argparse.ArgumentParser) -> None:
    """Describe the words after ``conducto doctor``."""
    parser.add_argument("--cloud", action="store_true", help="also what deploying to AWS needs")
    _add_place(parser)
    parser.add_argument("--json", action="store_true", help="machine-readable")


def add_usage(parser: argparse.ArgumentParser) -> None:
    """Describe the words after ``conducto usage``."""
    parser.add_argument(
        "--month", metavar="YYYY-MM", type=_month, help="only this one, with its pipelines' nodes"
    )
    parser.add_argument("--json", action="store_true", help="machine-readable")


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stage", type=_stage, default="main", help="the installation (default: main)"
    )
    parser.add_argument("--region", help="AWS region (default: that of the AWS configuration)")


def _stage(text: str) -> str:
    if _STAGE.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(
            f"must be lower-case letters, digits and '-', at most 16, got {text!r}"
        )
    if text == EMULATOR_STAGE:
        raise argparse.ArgumentTypeError(f"{text!r} is the name of the local emulator")
    return text


def _month(text: str) -> str:
    if _MONTH.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"must be a month such as 2026-11, got {text!r}")
    return text
