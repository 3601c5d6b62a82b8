"""A launch on this machine, from the tree to the exit code."""

import getpass
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conducto.errors import UsageError
from conducto.wire.launching import LAUNCH_KEY, LAUNCH_PARTS, LAUNCH_TAG, RECEIPT
from conducto_cli.app.exit import DONE
from conducto_cli.launch.commits import commits_of
from conducto_cli.target.connection import OpenClient, client_opener, guarded
from conducto_cli.text.text import printable
from conducto_client import Client, ClientError
from conducto_core.run.model.requests import LaunchRequest, PipelineSummary
from conducto_core.secrets.rules import missing
from conducto_core.services.rules import port_warning

if TYPE_CHECKING:
    from conducto.tree.launch import LaunchOptions
    from conducto.tree.node_base import NodeBase
    from conducto_cli.target.web_page import WebPage

# ----------------------------------------------------------------------------------------
# The receipt of a launch, for the agent that started the program (`conducto.wire.launching`).


def is_wanted() -> bool:
    """Return whether an agent started this process to launch or plan a pipeline."""
    return bool(os.environ.get(RECEIPT))


def write(**content: object) -> None:
    """Write the id of the launched pipeline, or the plan, if an agent waits for it."""
    file = os.environ.get(RECEIPT)
    if file:
        Path(file).write_text(json.dumps(content))


def launch_key() -> str | None:
    """Return the idempotency key of the first launch, if a schedule started this process."""
    return os.environ.pop(LAUNCH_KEY, "") or None


def launch_tags() -> tuple[str, ...]:
    """Return the tags that the pipeline must have besides its own."""
    tag = os.environ.get(LAUNCH_TAG)
    return (tag,) if tag else ()


def launch_parts() -> "dict[str, Any]":
    """Return the further parts that the launch form of the first launch must have."""
    file = os.environ.pop(LAUNCH_PARTS, "")
    return dict(json.loads(Path(file).read_text())) if file else {}


#: Default of ``--retention``, in days.
_RETENTION = 7


def launch(root: "NodeBase", options: "LaunchOptions") -> int:
    """Launch a tree; see `conducto._host.launch`."""

    def launch_and_stay() -> int:
        opener = client_opener(options.profile, launching=True)
        return submit(opener, prepared(root, options), options, has_engine=True)

    return guarded(launch_and_stay)


def prepared(root: "NodeBase", options: "LaunchOptions") -> LaunchRequest:
    """Return the request that launches a tree on this machine.

    Raises:
        UsageError: an option is for the cloud.
    """
    from conducto.tree.launch_form import to_launch_form  # noqa: PLC0415 - heavy, host side only

    if options.build is not None:
        raise UsageError("--build is about images for the cloud; leave it out, or use --cloud")
    form = to_launch_form(root, title=options.title, doc=options.doc, tags=options.tags)
    if options.snapshot_on_error:
        form["nodes"][0]["snapshot_on_error"] = True
    return request_of(form, options)


def request_of(form: "dict[str, Any]", options: "LaunchOptions") -> LaunchRequest:
    head = form["nodes"][0]
    if options.call is not None:
        form["call"] = options.call
    form |= launch_parts()
    if options.secret_set is not None:
        form["secret_set"] = options.secret_set
    program = program_of(options.argv)
    commits = commits_of(program)
    if commits is not None:
        form["commits"] = commits
    return LaunchRequest(
        tree=form,
        title=head.get("title"),
        doc=head.get("doc"),
        tags=(*head.get("tags", ()), *launch_tags()),
        run=options.run,
        run_at=None if options.run_at is None else float(options.run_at),
        sleep_when_done=options.sleep_when_done,
        no_cache=options.no_cache,
        retention=_RETENTION if options.retention is None else options.retention,
        engine="process" if options.engine == "process" else "docker",
        program=program,
        owner=getpass.getuser(),
    )


def program_of(argv: "list[str] | tuple[str, ...]") -> str | None:
    """Return the absolute path of the script that was started, if it is one."""
    script = argv[0] if argv else sys.argv[0]
    return os.path.abspath(script) if os.path.isfile(script) else None  # noqa: PTH100, PTH113


def submit(
    open_client: OpenClient,
    request: LaunchRequest,
    options: "LaunchOptions",
    *,
    has_engine: bool = False,
) -> int:
    """Hand in a request, then stay or say how to continue; return the exit code.

    Args:
        has_engine: The containers are this machine's, whose engine may lack something.
    """
    begin_junit(options)
    with open_client() as client:
        summary = client.launch(request, launch_key())
        write(pipeline=summary.pipeline.id)
        warnings = client.status().warnings if has_engine else ()
        here = _shared_ports(request) if has_engine else ()
        for warning in (*warnings, *_missing_secrets(client, request), *here):
            print(f"warning: {printable(warning)}", file=sys.stderr)
    return follow(open_client, summary, options)


def _missing_secrets(client: Client, request: LaunchRequest) -> list[str]:
    """Return warnings about secrets that nodes name and nobody has stored."""
    if not any(node.get("secrets") for node in request.tree["nodes"]):
        return []
    try:
        known = {secret.key for secret in client.secrets().secrets}
    except ClientError:  # the user may not list them
        return []
    return missing(request.tree, known)


def _shared_ports(request: LaunchRequest) -> list[str]:
    """Return warnings about services that could not run in the cloud."""
    if not any(node.get("services") for node in request.tree["nodes"]):
        return []
    from conducto_core.tree.rules.resolve import resolve  # noqa: PLC0415 - few trees need it

    beside = dict.fromkeys(node.placement.services for node in resolve(request.tree).execs())
    found = (port_warning(services) for services in beside)
    return [warning for warning in found if warning is not None]


def follow(open_client: OpenClient, summary: PipelineSummary, options: "LaunchOptions") -> int:
    """Stay with a launched pipeline, or say how to continue; return the exit code."""
    with open_client() as client:
        page = _page(client, summary, options)
    if options.plain or not sys.stdout.isatty():
        print(f"pipeline {summary.pipeline.id}", flush=True)
    if page is not None:
        print(f"web page: {page.address}", flush=True)
        if not page.forwarded and sys.stdout.isatty():
            print(page.code_line(), flush=True)
    from conducto_cli.view.session import page_lines, watch_pipeline, write_lines  # noqa: PLC0415

    if not options.run or options.detach:
        print(_next_steps(summary, options), flush=True)
        with open_client() as client:
            write_lines(page_lines(client, summary.pipeline.id) if page is None else ())
        return DONE
    from conducto_cli.view.ci import streams, write_reports  # noqa: PLC0415 - not for --detach

    return watch_pipeline(
        open_client,
        summary.pipeline.id,
        plain=options.plain,
        stream=streams(options.stream, os.environ, sys.stdout, plain=options.plain),
        when_ended=lambda client, ended: write_reports(client, ended, options.junit, os.environ),
    )


def begin_junit(options: "LaunchOptions") -> None:
    """Check ``--junit``, and replace an earlier report, before anything runs."""
    if options.junit is None:
        return
    if not options.run or options.detach:
        raise UsageError("--junit is written at the end of a run; use --run without --detach")
    from conducto_cli.view import junit  # noqa: PLC0415 - rarely needed

    junit.begin_junit(options.junit)


def _page(client: Client, summary: PipelineSummary, options: "LaunchOptions") -> "WebPage | None":
    """Open the pipeline's page if that is wanted; return it."""
    from conducto_cli.target.web_page import is_wanted, open_page  # noqa: PLC0415

    return open_page(client, summary.pipeline.id) if is_wanted(options.app) else None


def _next_steps(summary: PipelineSummary, options: "LaunchOptions") -> str:
    pipeline_id = summary.pipeline.id
    if options.run:
        return f"running; watch it: conducto show {pipeline_id}"
    if options.run_at is not None:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(options.run_at)))
        return f"starts at {when}; start it now: conducto run {pipeline_id}"
    return f"pending; start it: conducto run {pipeline_id}"
