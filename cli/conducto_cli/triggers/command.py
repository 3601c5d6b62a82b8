"""``conducto trigger``: pipelines that pushes and pull requests launch."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from conducto.errors import UsageError
from conducto.wire.printable import printable
from conducto_cli.app.arguments import (
    a_time_within,
    add_json,
    add_subcommand,
    add_yes,
    confirmed,
    dollars_above_0,
    file_text,
)
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.output import as_json
from conducto_cli.app.records import moment, owner, show, show_list
from conducto_cli.text.text import table
from conducto_cli.triggers import events

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_core.triggers.model import (
        Delivery,
        GitEvent,
        NewTrigger,
        Trigger,
    )

_NONE = "no triggers yet; add one: conducto trigger add NAME --repository URL"
_COLUMNS = ("NAME", "PROVIDER", "REPOSITORY", "FORKS", "OWNER", "TOKEN")
_DELIVERY_COLUMNS = ("TIME", "EVENT", "BRANCH", "RESULT", "PIPELINE", "ID")
#: Fields by which the event of a webhook of GitHub and GitLab is recognised.
_GITHUB_KINDS = (
    ("pull_request", "pull_request"),
    ("merge_group", "merge_group"),
    ("comment", "issue_comment"),
    ("pusher", "push"),
    ("head_commit", "push"),
)
_GITLAB_KINDS = {
    "push": "Push Hook",
    "tag_push": "Tag Push Hook",
    "merge_request": "Merge Request Hook",
}


class _Steps(NamedTuple):
    """What a person does with a webhook, in the provider's words."""

    do: str
    secret: str
    last: str


_STEPS = {
    "github": _Steps(
        "Create a webhook at {}",
        "secret",
        "events        pushes, pull requests, branch or tag creation and deletion, merge groups, "
        "issue comments",
    ),
    "gitlab": _Steps(
        "Create a webhook at {}",
        "secret token",
        "triggers      push events, tag push events, merge request events, comments",
    ),
    "bitbucket": _Steps(
        "Create a webhook at {}",
        "secret",
        "triggers      push, pull request created and updated",
    ),
    "gitea": _Steps(
        "Create a webhook of the type Gitea or Forgejo at {}",
        "secret",
        "events        push, create, delete, pull request, pull request synchronized, comments",
    ),
    "generic": _Steps(
        "Send webhooks about {} to",
        "secret",
        "signature     HMAC-SHA256 in Conducto-Signature, see docs/triggers.md, 'Other senders'",
    ),
}


def add_arguments(parser: Parser) -> None:
    commands = parser.add_subparsers(
        dest="what", metavar="add|list|rm|try|firings|replay|deliveries|…", required=True
    )
    listing = add_subcommand(commands, "list", "list the triggers of the organisation")
    adding = _add_adding(commands)
    removing = add_subcommand(commands, "rm", "delete a trigger; its webhook is rejected then")
    removing.add_argument("name", metavar="NAME")
    add_yes(removing)
    deliveries = add_subcommand(commands, "deliveries", "list the last webhooks and their results")
    deliveries.add_argument("name", metavar="NAME")
    approving = add_subcommand(
        commands, "approve", "launch a pull request from a fork, without secrets and user data"
    )
    approving.add_argument("name", metavar="NAME")
    approving.add_argument("delivery", metavar="ID", help="id of the delivery")
    trying = add_subcommand(
        commands,
        "try",
        "print what a push to a branch would launch now",
        "It reads .conducto.cfg of the newest commit from the provider, and launches nothing.",
    )
    trying.add_argument("name", metavar="NAME")
    trying.add_argument("--branch", default="main", help="default: main")
    trying.add_argument(
        "--payload",
        metavar="FILE",
        help="JSON of an event: print the parameters that it would give, and launch nothing",
    )
    trying.add_argument("--launch", action="store_true", help="with --payload: launch it")
    events.add_commands(commands)
    _add_app(commands)
    testing = add_subcommand(
        commands,
        "test",
        "print what an event would launch, without a push",
        "It reads .conducto.cfg of this directory, or --config, and launches nothing. The exit "
        "code is 1 if the event would launch nothing.",
    )
    testing.add_argument("--event", metavar="FILE", required=True, help="JSON of a webhook")
    testing.add_argument("--config", metavar="FILE", default=".conducto.cfg")
    testing.add_argument(
        "--name", metavar="EVENT", help="the X-GitHub-Event or X-Gitlab-Event of the webhook"
    )
    testing.add_argument(
        "--changed",
        metavar="PATH",
        action="append",
        help="a file that the event changed, for sections with 'paths' (repeatable)",
    )
    add_json(listing, adding, removing, deliveries, approving, trying, testing)


def _add_app(commands: Any) -> None:
    app = add_subcommand(
        commands,
        "github-app",
        "create, show or forget the GitHub App of the organisation",
        "The App sends the webhooks and gives the tokens of triggers that are added with --app, so "
        "that they need no token of a person. 'create' opens a page that posts the App's manifest.",
    )
    app.add_argument("action", choices=("create", "show", "rm"), nargs="?", default="show")
    add_yes(app)
    app.add_argument(
        "--title", metavar="NAME", default="Conducto", help="name of the App, unique at GitHub"
    )
    app.add_argument(
        "--host",
        metavar="URL",
        default="https://github.com",
        help="address of GitHub Enterprise Server (default: https://github.com)",
    )
    app.add_argument(
        "--account", metavar="NAME", help="GitHub organisation that owns the App (default: you)"
    )
    add_json(app)


def _add_adding(commands: Any) -> Parser:
    adding: Parser = add_subcommand(
        commands,
        "add",
        "store a trigger over one of the same name, with a new secret",
        "It prints the address and the secret of the webhook to create at the provider. The token "
        "that reads .conducto.cfg and sets statuses is taken from a variable.",
    )
    adding.add_argument("name", metavar="NAME")
    adding.add_argument("--repository", metavar="URL")
    events.add_options(adding)
    adding.add_argument(
        "--provider",
        choices=("github", "gitlab", "bitbucket", "gitea", "generic"),
        help="default: by the host of the repository",
    )
    adding.add_argument("--api", metavar="URL", help="address of the API of your own server")
    adding.add_argument(
        "--token-env", metavar="VARIABLE", help="variable that has a token of the provider"
    )
    adding.add_argument(
        "--forks",
        choices=("ignore", "approve"),
        default="ignore",
        help="pull requests from forks (default: ignore)",
    )
    adding.add_argument(
        "--app",
        action="store_true",
        help="use the GitHub App of the organisation instead of a token and a webhook",
    )
    adding.add_argument(
        "--submodule",
        metavar="URL",
        action="append",
        default=[],
        help="a private submodule that is cloned with the token, too (repeatable; administrators)",
    )
    adding.add_argument(
        "--person",
        metavar="LOGIN=USER",
        action="append",
        default=[],
        help="a member whose comments and buttons at GitHub act with their permissions "
        "(repeatable)",
    )
    adding.add_argument(
        "--command", metavar="TEXT", help="what a generic trigger runs, such as a line of a section"
    )
    adding.add_argument(
        "--window",
        metavar="TIME",
        type=partial(a_time_within, "1m", "31d"),
        help="for how long a launch waits for room in the plan (default: 24h; at most 31d)",
    )
    adding.add_argument(
        "--budget",
        metavar="DOLLARS",
        type=dollars_above_0,
        help="maximum cost of each of its pipelines",
    )
    adding.add_argument("--secret-set", metavar="NAME", help="set of secrets that its commands get")
    return adding


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    if _is_of_events(arguments):
        return events.run(arguments, open_client)
    if arguments.what in _VERBS:
        return _VERBS[arguments.what](arguments, open_client)
    from conducto_cli.target.account import call, checked
    from conducto_core.triggers import model as t
    from conducto_core.triggers import operations

    params = checked(t.TriggerParams, name=arguments.name)
    match arguments.what:
        case "add":
            made = call(arguments, operations.PUT_TRIGGER, params, _fields(arguments))
            return show(arguments, made, _new_lines(made))
        case "deliveries":
            found = call(arguments, operations.LIST_DELIVERIES, params).deliveries
            return _print_deliveries(arguments, found)
        case "try":
            tried = call(arguments, operations.TEST_TRIGGER, params, {"branch": arguments.branch})
            lines = [f"{tried.branch}: launches nothing: {tried.reason}"]
            if tried.section is not None:
                commit = tried.sha[:10] or "the commit of the event"
                lines = [f"{tried.branch} at {commit}: [{tried.section}] launches:"]
                lines += [f"  {tried.command}"]
            show(arguments, tried, map(printable, lines))
            return DONE if tried.section else FAILED
        case _:
            chosen = {"name": arguments.name, "delivery": arguments.delivery}
            result = call(arguments, operations.APPROVE_DELIVERY, chosen)
            _print_deliveries(arguments, (result,))
            return DONE if result.pipeline or result.result is t.DeliveryResult.QUEUED else FAILED


def _is_of_events(arguments: argparse.Namespace) -> bool:
    """Return whether a command is about a trigger by events."""
    if arguments.what == "add":
        if (arguments.event is None) == (arguments.repository is None):
            raise UsageError("give one of --repository URL and --event, which says what fires it")
        return arguments.event is not None
    if arguments.what == "try":
        return arguments.payload is not None
    return arguments.what in ("firings", "payload", "replay", "secret", "pause", "resume")


def _list(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_client.transport.cloud import CloudClient
    from conducto_core.run.model.params import NoParams
    from conducto_core.triggers.model import TriggerList
    from conducto_core.triggers.operations import LIST_TRIGGERS

    with open_client() as client:
        is_cloud = isinstance(client, CloudClient)
        git = client.call(LIST_TRIGGERS, NoParams()) if is_cloud else TriggerList(triggers=())
        views = events.of_events(client)
    found = {"events": [one.model_dump(mode="json") for one in views]}
    lines = [*table([_COLUMNS, *map(_cells, git.triggers)])] if git.triggers else []
    lines += table([events.COLUMNS, *map(events.cells, views)]) if views else []
    return show(arguments, {**git.model_dump(mode="json"), **found}, lines or (_NONE,))


def _github_app(arguments: argparse.Namespace, _open_client: OpenClient) -> int:
    from conducto_cli.triggers import github_app

    return github_app.run(arguments)


def _remove(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.account import call
    from conducto_core.triggers.operations import DELETE_TRIGGER

    if not confirmed(f"Delete the trigger {printable(arguments.name)}?", yes=arguments.yes):
        return FAILED
    with open_client() as client:
        if arguments.name in {one.schedule.name for one in events.of_events(client)}:
            deleted = client.delete_schedule(arguments.name)
            return show(arguments, deleted, f"deleted {deleted.name}")
    left = call(arguments, DELETE_TRIGGER, {"name": arguments.name})
    return show_list(arguments, left.triggers, _COLUMNS, _cells, _NONE, whole=left)


def _fields(arguments: argparse.Namespace) -> dict[str, object]:
    token = None
    if arguments.token_env is not None:
        token = os.environ.get(arguments.token_env)
        if not token:
            raise UsageError("--token-env: there is no such variable, or it is empty")
    window = {} if arguments.window is None else {"window": arguments.window}
    return {
        **window,
        **({} if arguments.budget is None else {"budget": arguments.budget}),
        **({} if arguments.secret_set is None else {"secret_set": arguments.secret_set}),
        "provider": arguments.provider or _provider_of(arguments),
        "repository": arguments.repository,
        "api": arguments.api,
        "token": token,
        "forks": arguments.forks,
        "command": arguments.command,
        "app": arguments.app,
        "submodules": arguments.submodule,
        "people": dict(map(_person, arguments.person)),
    }


def _person(text: str) -> tuple[str, str]:
    login, equals, user = text.partition("=")
    if not (login and equals and user):
        raise UsageError(f"--person: write LOGIN=USER, such as octocat=ann, got {text!r}")
    return login, user


def _provider_of(arguments: argparse.Namespace) -> str:
    if arguments.app:
        return "github"
    for provider in ("github", "gitlab", "bitbucket", "gitea"):
        if provider in arguments.repository.lower():
            return provider
    raise UsageError(
        "--provider: name github, gitlab, bitbucket, gitea (also for Forgejo) or generic; the "
        "address does not tell it"
    )


def _cells(one: Trigger) -> tuple[str, ...]:
    access = "app" if one.app else "yes" if one.has_token else "no"
    count = len(one.submodules)
    if count:
        access = f"{access}, and for {count} submodule{'s' * (count > 1)}"
    return (one.name, one.provider, one.repository, one.forks, owner(one), access)


def _new_lines(made: NewTrigger) -> Iterator[str]:
    if made.hook_url is None:
        yield f"{made.trigger.name} is stored. The GitHub App sends its webhooks."
        return
    trigger = made.trigger
    steps = _STEPS[trigger.provider]
    yield f"{trigger.name} is stored. {steps.do.format(trigger.repository)}:"
    yield f"  address       {made.hook_url}"
    yield "  content type  application/json"
    yield f"  {steps.secret:<12}  {made.secret}   (shown once; an earlier one is no longer valid)"
    yield f"  {steps.last}"
    if trigger.provider != "generic" and not trigger.has_token:
        yield "It has no token: it reads public repositories only, and sets no status of commits."
        yield "With one:  conducto trigger add ... --token-env VARIABLE  (makes a new secret)"


def _print_deliveries(arguments: argparse.Namespace, found: tuple[Delivery, ...]) -> int:
    document = {"deliveries": [each.model_dump(mode="json") for each in found]}
    lines = [*table([_DELIVERY_COLUMNS, *map(_delivery_cells, found)])]
    lines += [f"{each.id}: {printable(each.reason)}" for each in found if each.reason is not None]
    return show(arguments, document, lines if found else "no webhook has arrived yet")


def _delivery_cells(delivery: Delivery) -> tuple[str, ...]:
    event = delivery.event
    return (
        moment(delivery.time),
        event.kind.value,
        printable(event.branch),
        delivery.result.value,
        delivery.pipeline or "-",
        delivery.id,
    )


# ---- an event without a push ---------------------------------------------------------------------


def _test(arguments: argparse.Namespace, _open_client: OpenClient) -> int:
    from conducto_core.triggers.rules.config import TriggerConfigError, parse_config

    events = _events(_object(arguments.event), arguments.name)
    try:
        sections = parse_config(file_text(arguments.config))
        results = [_result(sections, event, arguments.changed) for event in events]
    except TriggerConfigError as error:
        raise UsageError(f"{arguments.config}, {error}") from error
    if arguments.json:
        print(as_json({"events": results}))
    elif not results:
        print(
            "the event launches nothing; sections are for pushes, pull requests that are opened or "
            "changed, merge groups, comments that begin with '/conducto run', and created or "
            "deleted branches and tags"
        )
    else:
        for result in results:
            _print_result(result)
    return DONE if any(result["section"] for result in results) else FAILED


def _result(sections: Any, event: GitEvent, changed: list[str] | None) -> dict[str, Any]:
    from conducto_core.triggers.rules.config import sections_for, variables_of

    found: dict[str, Any] = {
        "event": event.model_dump(mode="json"),
        "section": None,
        "command": None,
        "not_matching": [],
    }
    for section in sections_for(sections, event):
        mismatch = section.why_not(event, lambda: changed)
        if mismatch is None:
            found |= {"section": section.name, "command": section.command_for(event)}
            found["env"] = variables_of(event)
            break
        found["not_matching"].append(mismatch)
    return found


def _print_result(result: dict[str, Any]) -> None:
    event = result["event"]
    print(printable(f"{event['kind']} of {event['branch']} at {event['sha'][:10] or '-'}"))
    for mismatch in result["not_matching"]:
        print(printable(f"  {mismatch}"))
    if result["section"] is None:
        print("  launches nothing")
        return
    print(printable(f"  [{result['section']}] launches: {result['command']}"))
    if event["fork"]:
        print("  from a fork: ignored, or launched without secrets after an approval")


def _events(payload: dict[str, Any], name: str | None) -> list[GitEvent]:
    from conducto_core.triggers.rules.git_api import EventError
    from conducto_core.triggers.rules.providers import events_of

    try:
        if "kind" in payload and "repository" in payload and name is None:
            return events_of("generic", {}, payload)
        if "object_kind" in payload:
            event = name or _GITLAB_KINDS.get(str(payload["object_kind"]), "")
            return events_of("gitlab", {"x-gitlab-event": event}, payload)
        if "actor" in payload:
            event = name or ("repo:push" if "push" in payload else "pullrequest:updated")
            return events_of("bitbucket", {"x-event-key": event}, payload)
        event = name or next((kind for key, kind in _GITHUB_KINDS if key in payload), "")
        if not event:
            raise UsageError("--name: name the event of the webhook, such as push or create")
        return events_of("github", {"x-github-event": event}, payload)
    except EventError as error:
        raise UsageError(f"--event: {error}") from error


def _object(path: str) -> dict[str, Any]:
    try:
        found = json.loads(file_text(path))
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} is not a JSON object")
    return found


#: Commands whose arguments differ from those about one trigger.
_VERBS = {"list": _list, "rm": _remove, "test": _test, "github-app": _github_app}
