"""``conducto notify``: rules that send notifications about pipelines."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto.wire.printable import printable
from conducto_cli.app.arguments import add_json, add_subcommand, add_yes
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.records import delete, owner, show, show_list, using

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_core.notifications.model import NotificationRule, RuleList

_COLUMNS = ("NAME", "CHANNEL", "TO", "ON", "TITLE", "SCHEDULE", "SIGNED WITH", "OWNER")
_CHANNELS = ("webhook", "slack", "mail")


def add_arguments(parser: Parser) -> None:
    commands = parser.add_subparsers(dest="what", metavar="list|add|test|rm", required=True)
    listing = add_subcommand(commands, "list", "list the rules")
    adding = add_subcommand(
        commands,
        "add",
        "store a rule over one of the same name",
        "It reports on pipelines that are launched from now on: all, or those that --title and "
        "--schedule select.",
    )
    adding.add_argument("name", metavar="NAME", help="name of the rule")
    channel = adding.add_mutually_exclusive_group(required=True)
    channel.add_argument("--webhook", metavar="URL", help="post JSON to this address")
    channel.add_argument("--slack", metavar="CHANNEL", help="post to this channel of Slack")
    channel.add_argument("--mail", metavar="ADDRESS", help="send a mail")
    channel.add_argument(
        "--github", action="store_true", help="set the status of the commit of a git trigger"
    )
    adding.add_argument(
        "--on",
        metavar="EVENTS",
        default="failure,fixed",
        help="events, separated by commas: start, success, failure, failed_again, fixed, approval; "
        "and alerts: late, long, expensive, waiting (default: failure,fixed)",
    )
    adding.add_argument(
        "--minutes", type=float, metavar="N", help="minutes of 'late' and 'waiting' (10)"
    )
    adding.add_argument("--dollars", type=float, metavar="N", help="cost of 'expensive'")
    adding.add_argument("--title", metavar="TEXT", help="only pipelines with this title; * is any")
    adding.add_argument("--schedule", metavar="NAME", help="only pipelines of this schedule")
    adding.add_argument(
        "--secret", metavar="NAME", help="name of the secret that signs a webhook (HMAC-SHA256)"
    )
    removing = add_subcommand(commands, "rm", "delete a rule")
    removing.add_argument("name", metavar="NAME")
    add_yes(removing)
    testing = add_subcommand(commands, "test", "send a test message by the channel of a rule")
    testing.add_argument("name", metavar="NAME")
    add_json(listing, adding, removing, testing)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.account import checked
    from conducto_core.notifications.model import RuleParams, RuleRequest
    from conducto_core.notifications.operations import DELETE_RULE, LIST_RULES, PUT_RULE, TEST_RULE
    from conducto_core.run.model.params import NoParams

    if arguments.what == "list":
        with open_client() as client:
            return _print(arguments, client.call(LIST_RULES, NoParams()))
    params = checked(RuleParams, name=arguments.name)
    if arguments.what == "rm":
        return delete(
            arguments,
            f"Delete the notification rule {printable(arguments.name)}?",
            using(open_client, lambda client: client.call(DELETE_RULE, params)),
            lambda rule: f"{rule.name} deleted",
        )
    if arguments.what == "test":
        with open_client() as client:
            result = client.call(TEST_RULE, params)
        is_sent = result.error is None
        show(arguments, result, "sent" if is_sent else printable(f"not sent: {result.error}"))
        return DONE if is_sent else FAILED
    request = checked(RuleRequest, **_fields(arguments))
    with open_client() as client:
        client.call(PUT_RULE, params, request)
        return _print(arguments, client.call(LIST_RULES, NoParams()))


def _fields(arguments: argparse.Namespace) -> dict[str, object]:
    channel = next((name for name in _CHANNELS if getattr(arguments, name) is not None), "github")
    events = [event.strip().replace("-", "_") for event in arguments.on.split(",")]
    if not all(events):
        raise UsageError(f"--on: {arguments.on!r} has an empty event")
    return {
        "channel": channel,
        "to": "" if channel == "github" else getattr(arguments, channel),
        "on": tuple(events),
        "title": arguments.title,
        "schedule": arguments.schedule,
        "secret": arguments.secret,
        "minutes": arguments.minutes,
        "dollars": arguments.dollars,
    }


def _print(arguments: argparse.Namespace, found: RuleList) -> int:
    none = "no rules yet; add one: conducto notify add NAME --slack '#builds'"
    return show_list(arguments, found.rules, _COLUMNS, _cells, none, whole=found)


def _cells(rule: NotificationRule) -> tuple[str, ...]:
    events = ", ".join(event.value.replace("_", " ") for event in rule.on)
    filters = (rule.title or "any", rule.schedule or "any", rule.secret or "-")
    return (rule.name, rule.channel.value, rule.to or "-", events, *filters, owner(rule))
