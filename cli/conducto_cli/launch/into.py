"""``--into ID``: continue a pipeline with a changed script."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from conducto_cli.app.arguments import Ask, confirmed
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.launch.local import begin_junit, follow, prepared
from conducto_cli.target.connection import OpenClient, client_opener, guarded
from conducto_cli.target.lookup import find_pipeline
from conducto_cli.text.text import count_of, printable, table
from conducto_core.programs.model import ContinuePlan, ContinueRequest, Fate
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.requests import LaunchRequest

if TYPE_CHECKING:
    from conducto.tree.launch import LaunchOptions
    from conducto.tree.node_base import NodeBase

#: Maximum number of commands that are listed before the question.
_LISTED = 40


def launch(root: "NodeBase", options: "LaunchOptions") -> int:
    """Continue a pipeline with a tree; see `conducto._host.launch`."""

    def continue_and_stay() -> int:
        opener = client_opener(options.profile, launching=True)
        return continue_pipeline(opener, prepared(root, options), options)

    return guarded(continue_and_stay)


def continue_pipeline(
    open_client: OpenClient,
    request: LaunchRequest,
    options: "LaunchOptions",
    ask: Ask | None = None,
    bring_images: Callable[[], None] = lambda: None,
) -> int:
    """Print the plan, replace the definition if confirmed, and continue as after a launch.

    Args:
        ask: Asks the user; None asks on the terminal.
        bring_images: Brings the files of the images to the server; called before the replacement.

    Returns:
        The exit code: that of a launch, or 1 if the user did not confirm.
    """
    if not options.plan:
        begin_junit(options)
    with open_client() as client:
        old = find_pipeline(client, options.into or "").pipeline
        pipeline_id = old.id
        launched = with_kept(request, options, old)
        asked = ContinueRequest(
            launch=launched,
            fresh=options.fresh,
            keep_secrets=options.keep_secrets,
            preview=True,
        )
        plan = client.continue_pipeline(pipeline_id, asked)
        for line in plan_lines(plan, None if options.plan else _LISTED):
            print(line)
        if options.plan:
            return DONE
        confirm = partial(confirmed, yes=options.yes) if ask is None else ask
        if not confirm(f"Replace the tree of {pipeline_id}?"):
            return FAILED
        bring_images()
        asked = asked.model_copy(update={"preview": False, "seq": plan.pipeline.seq})
        summary = client.continue_pipeline(pipeline_id, asked).pipeline
    return follow(open_client, summary, options)


def with_kept(
    request: LaunchRequest, options: "LaunchOptions", old: PipelineRecord
) -> LaunchRequest:
    """Return the request with the title, doc, tags and retention of the pipeline, unless given."""
    kept: dict[str, object] = {}
    if request.title is None:
        kept["title"] = old.title
    if request.doc is None:
        kept["doc"] = old.doc
    if options.tags is None and not request.tags:
        kept["tags"] = old.tags
    if options.retention is None:
        kept["retention"] = old.retention
    return request.model_copy(update=kept)


def plan_lines(plan: ContinuePlan, listed: int | None = None) -> Iterator[str]:
    """Yield the lines of a plan.

    Args:
        listed: Maximum number of commands to list; None lists all.
    """
    nodes = [(each.fate.value, printable(each.path), each.reason) for each in plan.nodes]
    nodes += [("removed", printable(path), "") for path in plan.removed]
    shown = [(fate, path, printable(reason)) for fate, path, reason in nodes[:listed]]
    yield f"{plan.pipeline.pipeline.id}: {printable(plan.pipeline.pipeline.title)}"
    for line in table(shown):
        yield f"  {line.rstrip()}"
    if len(nodes) > len(shown):
        yield f"  and {len(nodes) - len(shown):,} more; --plan lists all"
    yield _summary(plan)
    if any(each.reason.startswith("secrets changed") for each in plan.nodes):
        yield "Without secrets= a command gets all; to keep commands nevertheless: --keep-secrets"
    yield "Data files are kept and not compared."


def _summary(plan: ContinuePlan) -> str:
    numbers = Counter(each.fate for each in plan.nodes)
    verb = "runs" if numbers[Fate.RUNS] == 1 else "run"
    parts = [f"{numbers[Fate.KEPT]:,} kept", f"{numbers[Fate.RUNS]:,} {verb}"]
    if numbers[Fate.SKIPPED]:
        parts.append(f"{numbers[Fate.SKIPPED]:,} skipped")
    if plan.removed:
        parts.append(f"{len(plan.removed):,} removed")
    return f"{count_of(len(plan.nodes), 'command')}: {', '.join(parts)}"
