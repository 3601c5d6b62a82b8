"""``conducto deploy``: an installation in an AWS account."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import getpass
import os
import re
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto.wire.printable import suggestion
from conducto_cli.app.arguments import add_stage, add_yes, asker
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.deploy.port import AccountError
from conducto_cli.people.invite_command import lines_of
from conducto_core.installation.names import SETTINGS

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.deploy.deployment import Deployed, Prompt, Wish
    from conducto_cli.deploy.port import AwsAccount, Machine


_NAME = re.compile(r"[^A-Za-z0-9._-]+")


def add_arguments(parser: Parser) -> None:
    add_stage(parser)
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
    parser.add_argument("--user", help="user of the first token (default: your name here)")
    add_yes(parser)
    parser.add_argument(
        "--report",
        metavar="FILE",
        help="afterwards run the automatic rows of the account checklist, and write an anonymous "
        "report; it launches small pipelines, which cost about a cent",
    )
    parser.add_argument(
        "--downgrade", action="store_true", help="also where a newer version is deployed"
    )


def run(
    arguments: argparse.Namespace, account: AwsAccount | None = None, machine: Machine | None = None
) -> int:
    """Deploy, and say how to log in; return the exit code.

    Args:
        account: None takes that of the AWS configuration.
        machine: None is this one.
    """
    from conducto_cli.deploy.aws import BotoAccount
    from conducto_cli.deploy.deployment import DeployError, Deployment, NoStacksError, Wish
    from conducto_cli.deploy.local_tools import LocalTools

    file = None if arguments.report is None else check_file(arguments.report)
    wish = Wish(
        stage=arguments.stage,
        settings=settings_of(arguments.setting),
        org=arguments.org,
        user=arguments.user or (_NAME.sub("-", getpass.getuser()).strip("-._")[:63] or "me"),
        downgrade=arguments.downgrade,
    )
    try:
        there = BotoAccount(arguments.region) if account is None else account
        here = LocalTools() if machine is None else machine
        cloud_machine = Deployment(
            there, here, asker(yes=arguments.yes), print_line, prompter(arguments)
        )
        deployed = cloud_machine.deploy(wish)
    except (AccountError, DeployError, NoStacksError) as error:
        return failed(error)
    _tell(deployed, wish, arguments)
    if deployed.problem is not None:
        return failed(DeployError(deployed.problem))
    return DONE if file is None else _report(file, deployed, there.region, arguments.profile)


def _report(file: Path, deployed: Deployed, region: str | None, profile: str | None) -> int:
    """Write the report of an installation that the profile is logged in to."""
    from conducto_cli.deploy import report
    from conducto_cli.target.account import account_of

    account = account_of(profile)
    if account is None or account.url != deployed.url:
        print(
            "conducto: no report: this profile is not logged in to the installation; "
            f"conducto login --url {deployed.url}, then deploy with --report again",
            file=sys.stderr,
        )
        return FAILED
    return DONE if report.write(file, profile, region, print_line) else FAILED


def check_file(name: str) -> Path:
    """Return the file of the report, before anything is deployed.

    Raises:
        UsageError: It exists, or cannot be written.
    """
    file = Path(name)
    try:
        file.open("x").close()
    except OSError as error:
        raise UsageError(f"--report {name}: {error.strerror}; name another file") from error
    file.unlink()
    return file


def settings_of(words: list[str]) -> dict[str, str]:
    """Return ``{name: value}`` of ``-c name=value``; an empty value takes a setting back.

    Raises:
        UsageError: a word of another form, or an unknown setting.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"-c {word}: a setting is written NAME=VALUE")
        if name not in SETTINGS:
            hint = suggestion(name, SETTINGS) or f"; they are {', '.join(SETTINGS)}"
            raise UsageError(f"-c {word}: there is no setting {name!r}{hint}")
        found[name] = value
    return found


def prompter(arguments: argparse.Namespace) -> Prompt | None:
    """Return a function that asks for a word; None with ``--yes`` or without a terminal."""
    if arguments.yes or not sys.stdin.isatty():
        return None

    def prompt(question: str) -> str:
        try:
            return input(f"{question} ")
        except EOFError:
            return ""

    return prompt


def print_line(line: str) -> None:
    """Print a line at once: CDK prints between them."""
    print(line, flush=True)


def failed(error: Exception) -> int:
    """Print an error and its remedy; return the exit code."""
    remedy = f"; {error.remedy}" if isinstance(error, AccountError) else ""
    print(f"conducto: {error}{remedy}", file=sys.stderr)
    return FAILED


def _tell(deployed: Deployed, wish: Wish, arguments: argparse.Namespace) -> None:
    print_line("")
    print_line(f"stage {wish.stage!r} is deployed at {deployed.url}")
    line = f"conducto login --url {deployed.url}"
    if deployed.token is None:
        if _moved(deployed, arguments):
            return
        print_line(f"log in with a token that you have:  {line}")
        more = f"conducto admin mint-token --stage {wish.stage} --org {wish.org} --user NAME"
        print_line(f"or make another:  {more}")
        return
    if deployed.invitation is not None:
        print_line("The first owner of the organisation is invited:")
        print("\n".join(lines_of(deployed.invitation, deployed.url)))
    if _logged_in(deployed.url, deployed.token, wish, arguments):
        return
    print_line(
        f"The first token, of {wish.user} in the organisation {wish.org}, is shown this once:"
    )
    print_line(f"  {deployed.token}")
    print_line("log in with it; the command asks for it, so that it is in no history:")
    print_line(f"  {line}")


def _moved(deployed: Deployed, arguments: argparse.Namespace) -> bool:
    """Write the installation's URL into a profile with a token of it; return whether it has one.

    After `conducto destroy` the next deployment has another URL, and knows the earlier tokens.
    """
    from conducto_cli.target.account import account_of, profile_named, save_login

    if any(name in os.environ for name in ("CONDUCTO_URL", "CONDUCTO_TOKEN")):
        return False  # the account is the environment's, not the profile's
    known = account_of(arguments.profile)
    if known is None or not _is_listed(known.token, deployed.tokens):
        return False
    name = profile_named(arguments.profile)
    if known.url != deployed.url:
        save_login(replace(known, url=deployed.url), name)
    print_line(f"logged in as {known.user} of {known.org} (profile {name})")
    return True


def _is_listed(token: str, ids: tuple[str, ...]) -> bool:
    """Return whether a token is one of those with these ids, which are beginnings of digests."""
    digest = sha256(token.encode()).hexdigest()
    return any(digest.startswith(each) for each in ids)


def _logged_in(url: str, token: str, wish: Wish, arguments: argparse.Namespace) -> bool:
    """Keep the token in the profile if the person likes; return whether it is kept."""
    from conducto_cli.target.account import SignedInAccount as LogIn
    from conducto_cli.target.account import save_login

    if not asker(yes=arguments.yes)(f"Log in there as {wish.user}, from this machine?"):
        return False
    name = save_login(LogIn(url, token, wish.org, wish.user), arguments.profile)
    print_line(f"logged in as {wish.user} of {wish.org} (profile {name}); next:")
    print_line("  python pipeline.py --cloud --run")
    print_line("  conducto show --app --cloud")
    return True
