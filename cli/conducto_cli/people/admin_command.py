"""``conducto admin``: tokens and plans of an installation at AWS, or of the emulator.

It calls the installation's function ``admin`` with the user's AWS credentials: users who may invoke
functions of the account are administrators.
"""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from conducto.version import install_command
from conducto_cli.app.arguments import add_yes, confirmed
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.output import as_json
from conducto_cli.app.records import day
from conducto_cli.people.invite_command import ROLES, lines_of
from conducto_core.installation.names import EMULATOR_STAGE, PERMISSIONS, function_name

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from conducto_core.installation.model import AdminResponse, PlanInfo, TokenInfo
    from conducto_core.record import Record


#: Carries a payload to a function of this name and returns what it answers.
Invoke = Callable[[str, bytes], bytes]


class AwsError(Exception):
    """AWS cannot be asked; the message says why and what to do."""


def run(arguments: argparse.Namespace, invoke: Invoke | None = None) -> int:
    request = _request(arguments)
    if arguments.what == "revoke-token":
        question = f"Revoke the token {arguments.token}? Its programs stop working."
        if not confirmed(question, yes=arguments.yes):
            return FAILED
    try:
        send = _invoker(arguments.stage, arguments.region) if invoke is None else invoke
        response = _ask(send, function_name(arguments.stage, "admin"), request)
    except AwsError as error:
        print(f"conducto: {error}", file=sys.stderr)
        return FAILED
    if response.error is not None:
        print(f"conducto: {response.error}", file=sys.stderr)
        return FAILED
    if arguments.json:
        print(as_json(response.model_dump(mode="json", exclude_none=True)))
    else:
        _print(arguments.what, response)
    return DONE


def _request(arguments: argparse.Namespace) -> Record:
    """Return the request that the words after ``conducto admin`` mean."""
    from conducto_core.installation.model import ListTokens, MintToken, RevokeToken, ShowPlan

    match arguments.what:
        case "mint-token":
            permissions = tuple(arguments.permission or PERMISSIONS)
            return MintToken(
                org=arguments.org, user=arguments.user, permissions=permissions, days=arguments.days
            )
        case "tokens":
            return ListTokens(org=arguments.org)
        case "revoke-token":
            return RevokeToken(org=arguments.org, token=arguments.token)
        case "invite":
            return _invitation(arguments)
        case "set-plan":
            return _set_plan(arguments)
        case _:
            return ShowPlan(org=arguments.org)


def _invitation(arguments: argparse.Namespace) -> Record:
    from conducto_cli.target.account import checked
    from conducto_core.installation.model import InviteMember

    names = ("org", "email", "role", "user")
    return checked(InviteMember, **{name: getattr(arguments, name) for name in names})


def _set_plan(arguments: argparse.Namespace) -> Record:
    from conducto_cli.target.account import checked
    from conducto_core.installation.model import SetPlan

    return checked(
        SetPlan,
        org=arguments.org,
        name=arguments.name,
        max_workers=arguments.max_workers,
        max_pipelines=arguments.max_pipelines,
        max_cpu=arguments.max_cpu,
        exec_minutes=arguments.exec_minutes,
        unlimited_minutes=arguments.unlimited_minutes,
        pipeline_budget=arguments.pipeline_budget,
        no_pipeline_budget=arguments.no_pipeline_budget,
    )


def _ask(invoke: Invoke, function: str, request: Record) -> AdminResponse:
    from conducto_core.installation.model import AdminResponse

    return AdminResponse.model_validate(
        json.loads(invoke(function, request.model_dump_json().encode()))
    )


def _invoker(stage: str, region: str | None) -> Invoke:
    """Return a caller of the functions of a stage: at AWS, or in this profile's emulator."""
    try:
        import boto3  # type: ignore[import-untyped]
        from botocore.exceptions import (  # type: ignore[import-untyped]
            BotoCoreError,
            ClientError,
        )
    except ImportError as error:
        message = f"this needs boto3: {install_command('aws')}"
        raise SystemExit(f"conducto: {message}") from error

    where = _emulator() if stage == EMULATOR_STAGE else {"region_name": region}

    def invoke(function: str, payload: bytes) -> bytes:
        try:
            client = boto3.client("lambda", **where)
            response = client.invoke(FunctionName=function, Payload=payload)
        except (BotoCoreError, ClientError) as error:
            raise AwsError(
                f"{function}: {error}; check the AWS credentials, the region, and --stage"
            ) from error
        body = bytes(response["Payload"].read())
        if "FunctionError" in response:
            raise AwsError(f"{function} failed; its log at CloudWatch says why")
        return body

    return invoke


def _emulator() -> dict[str, str]:
    """Return the arguments with which boto3 reaches this profile's emulator.

    Raises:
        AwsError: none is running.
    """
    from conducto_cli.deploy.emulator_command import running

    found = running()
    if found is None:
        raise AwsError("no emulator is running; start it with: conducto cloud-emulator up")
    return {
        "region_name": found["region"],
        "endpoint_url": found["aws"],
        "aws_access_key_id": found["key"]["id"],
        "aws_secret_access_key": found["key"]["secret"],
    }


def _print(what: str, response: AdminResponse) -> None:
    if response.plan is not None:
        _print_plan(response.plan)
    elif response.token is not None:
        print(response.token)
        print("This is the only time that it is shown; 'conducto login' asks for it.")
    elif response.invitation is not None:
        print("\n".join(lines_of(response.invitation)))
    elif what == "revoke-token":
        print(f"{response.tokens[0].id} is revoked; it stops working within 5 seconds")
    elif not response.tokens:
        print("no tokens yet; make one: conducto admin mint-token --org ORG --user USER")
    for token in response.tokens if what == "tokens" else ():
        print(_line(token))


def _line(token: TokenInfo) -> str:
    ends = "never ends" if token.expires is None else f"ends {day(token.expires)}"
    made = f"made {day(token.created)}"
    return f"{token.id}  {token.user}  {made}, {ends}  {', '.join(token.permissions)}"


def _print_plan(plan: PlanInfo) -> None:
    minutes = "any number" if plan.exec_minutes is None else f"{plan.exec_minutes:g}"
    print(f"{plan.org} is on the plan {plan.name}")
    print(f"  workers at once    {plan.max_workers}, {plan.workers} now")
    print(f"  active pipelines   {plan.max_pipelines}")
    print(f"  vCPUs of a worker  {plan.max_cpu:g}")
    print(f"  minutes a month    {minutes}")
    if plan.pipeline_budget is not None:
        print(f"  default budget     ${plan.pipeline_budget:,.2f} a pipeline")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    mint = _kind(kinds, "mint-token", "make a token for a person or a machine")
    mint.add_argument("--user", required=True, help="user of the token")
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
    add_yes(revoke)
    invite = _kind(kinds, "invite", "invite somebody, such as the first owner")
    invite.add_argument("--email", required=True, help="address of the new member")
    invite.add_argument("--role", choices=ROLES, default="owner", help="(default: owner)")
    invite.add_argument("--user", help="user id (default: from the address)")
    plan = _kind(kinds, "set-plan", "change what an organisation may do at once")
    plan.add_argument("--name", help="of the plan")
    plan.add_argument("--max-workers", type=int, help="workers at once")
    plan.add_argument("--max-pipelines", type=int, help="active pipelines")
    plan.add_argument("--max-cpu", type=float, help="vCPUs of one worker")
    minutes = plan.add_mutually_exclusive_group()
    minutes.add_argument("--exec-minutes", type=float, help="minutes of workers a month")
    minutes.add_argument("--unlimited-minutes", action="store_true", help="any number of them")
    budget = plan.add_mutually_exclusive_group()
    budget.add_argument(
        "--pipeline-budget",
        type=float,
        metavar="DOLLARS",
        help="budget of each pipeline without one of its own, its schedule, trigger or token",
    )
    budget.add_argument("--no-pipeline-budget", action="store_true", help="no such budget")
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
