"""``conducto billing``: the plan, the subscription and the spend limit of an organisation."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_json, add_subcommand
from conducto_cli.app.exit import DONE
from conducto_cli.app.records import day, show
from conducto_cli.text.text import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conducto_cli.app.arguments import Parser
    from conducto_core.billing.model import BillingStatus

_NO_LIMIT = "none"


def add_arguments(parser: Parser) -> None:
    kinds = parser.add_subparsers(dest="what", metavar="show|enable|portal|limit", required=True)
    show = add_subcommand(kinds, "show", "show the plan, the bill and the spend limit")
    enable = add_subcommand(kinds, "enable", "open the page on which the organisation subscribes")
    portal = add_subcommand(kinds, "portal", "open the page with invoices and payment methods")
    for each in (enable, portal):
        each.add_argument(
            "--no-browser", action="store_true", help="print the address without opening it"
        )
    limit = add_subcommand(kinds, "limit", "set the maximum dollars of a billing period")
    limit.add_argument("dollars", type=_dollars, help=f"the limit, or '{_NO_LIMIT}'")
    limit.add_argument(
        "--grace",
        type=float,
        default=15.0,
        metavar="MINUTES",
        help="minutes for which commands may run on at the limit (default: 15)",
    )
    for each in (show, limit):
        add_json(each)


def run(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call
    from conducto_core.billing import operations as billing

    if arguments.what in ("enable", "portal"):
        page = billing.CHECKOUT if arguments.what == "enable" else billing.PORTAL
        return _open(call(arguments, page).url, silent=arguments.no_browser)
    if arguments.what == "limit":
        limit = {"dollars": arguments.dollars, "grace_minutes": arguments.grace}
        found = call(arguments, billing.SET_LIMIT, body=limit)
    else:
        found = call(arguments, billing.GET_BILLING)
    return show(arguments, found, _lines(found))


def _open(url: str, *, silent: bool) -> int:
    import webbrowser  # slow, and rarely needed

    if silent or not webbrowser.open(url):
        print(url)
    else:
        print("opened the page in the browser")
    return DONE


def _lines(found: BillingStatus) -> Iterator[str]:
    subscription = "none" if found.status is None else found.status.replace("_", " ")
    rows = [
        ("plan", found.plan),
        ("subscription", subscription),
        ("workers", f"{found.workers:,} of {found.max_workers:,}"),
    ]
    if found.exec_minutes is not None:
        rows.append(("minutes", f"{found.used_minutes:,.0f} of {found.exec_minutes:,.0f}"))
    if found.starts is not None:
        rows.append(("paid plan", time.strftime("starts at %H:%M", time.localtime(found.starts))))
    if found.grace_until is not None:
        rows.append(("payment failed", f"the plan ends on {day(found.grace_until)}"))
    if found.period_start is not None and found.period_end is not None:
        period = f"{day(found.period_start)} to {day(found.period_end)}"
        forecast = "" if found.forecast is None else f", about ${found.forecast:,.2f} at its end"
        rows += [("period", period), ("so far", f"${found.accrued:,.2f}{forecast}")]
    limit = "none" if found.limit is None else f"${found.limit:,.2f}"
    reached = " (reached: nothing starts)" if found.suspended else ""
    rows += [
        ("spend limit", f"{limit}{reached}"),
        ("prices", f"${found.vcpu_hour:g} per vCPU-hour, ${found.gb_hour:g} per GB-hour"),
    ]
    yield from table(rows)
    if found.days:
        yield ""
        head = ("DAY", "vCPU-HOURS", "GB-HOURS", "DOLLARS")
        cells = [
            (
                each.day,
                f"{each.vcpu_seconds / 3600:.2f}",
                f"{each.gb_seconds / 3600:.2f}",
                f"{each.dollars:.2f}",
            )
            for each in found.days
        ]
        yield from table([head, *cells])
    yield from _pipelines(found)
    if not found.paying and found.starts is None:
        yield ""
        yield "for more workers: conducto billing enable"


def _pipelines(found: BillingStatus) -> Iterator[str]:
    if not found.pipelines:
        return
    yield ""
    rows = [(each.id, f"{each.dollars:.2f}", each.title or "(deleted)") for each in found.pipelines]
    if found.more_pipelines:
        rows.append((f"{found.more_pipelines:,} more", f"{found.more_dollars:.2f}", ""))
    yield from table([("PIPELINE", "DOLLARS", "TITLE"), *rows])


def _dollars(text: str) -> float | None:
    if text == _NO_LIMIT:
        return None
    try:
        number = float(text.removeprefix("$"))
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(
            f"must be a number of dollars from 0, or '{_NO_LIMIT}', got {text!r}"
        )
    return number
