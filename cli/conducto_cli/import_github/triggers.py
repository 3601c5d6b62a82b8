"""The events of a workflow, as sections of .conducto.cfg."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.import_github.workflow import EMPTY, Item

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from conducto_cli.import_github.jobs import Report

#: ``{event and key: (section, value that the filter tests)}``
_SECTIONS = {
    "push.branches": ("push", "branch"),
    "push.tags": ("create-tag", "tag"),
    "pull_request.branches": ("pr", "base_branch"),
}
_MANUAL = {"workflow_dispatch", "workflow_call"}
_OF_ALL = {"sha", "user", "repository"}
_OF_SECTIONS = {
    "push": {"branch"} | _OF_ALL,
    "create-tag": {"tag"} | _OF_ALL,
    "pr": {"branch", "base_branch", "number", "title"} | _OF_ALL,
}


def events_of(workflow: Item) -> dict[str, Item]:
    on = workflow.get("on") or EMPTY
    if isinstance(on.content, dict):
        return on.fields()
    return {each.text: Item({}, each.line) for each in on.each()}


def default_branch(workflow: Item) -> str:
    """Return the first branch whose pushes start the workflow, or main."""
    push = events_of(workflow).get("push", EMPTY)
    names = [each.text for each in (push.get("branches") or EMPTY).each()]
    return next((name for name in names if not set(name) & set("*?[!+")), "main")


def refs(workflow: Item) -> tuple[str, ...]:
    """Return the parameters with the name of the branch or tag of an event."""
    push = events_of(workflow).get("push", EMPTY)
    if push.get("tags") is None:
        return ("branch",)
    return ("tag",) if push.get("branches") is None else ("tag", "branch")


def triggers(
    workflow: Item, script: str, options: Collection[str], report: Report
) -> Iterator[str]:
    """Yield the sections of .conducto.cfg with which events launch the pipeline.

    Args:
        workflow: The workflow.
        script: The script, with the name of its function if it has several.
        options: The parameters of that function.
        report: Is called with each part without a counterpart.
    """
    for name, event in events_of(workflow).items():
        given = {} if name == "schedule" else event.fields()
        keys = [key for key in _SECTIONS if key.partition(".")[0] == name]
        if name == "schedule":
            for each in event.each():
                cron = (each.get("cron") or EMPTY).text
                words = f"{script} --event=schedule" if "event" in options else script
                add = f"conducto schedule add NAME --cron '{cron}' --zone UTC --git URL"
                report(each.line, f"a schedule; {add} --command 'python {words}'")
        elif not keys and name not in _MANUAL:
            report(event.line, f"the event {name}; a generic trigger can launch the pipeline")
        for key in given.keys() - {each.partition(".")[2] for each in keys} - {"inputs"}:
            report(given[key].line, f"{key} of {name}; the pipeline starts for all of them")
        chosen = [key for key in keys if key.partition(".")[2] in given] or keys[:1]
        for key in chosen:
            section, value = _SECTIONS[key]
            words = [f"--event={name}"] if "event" in options and name != "push" else []
            words += [f"--{each}={{{each}}}" for each in options if each in _OF_SECTIONS[section]]
            yield from (
                "",
                f"    [{section}]",
                f"    command = {' '.join(['python', script, *words])}",
            )
            patterns = [each.text for each in (event.get(key.partition(".")[2]) or EMPTY).each()]
            if patterns and not {"*", "**"} & {*patterns}:
                tests = [f"{{{value}}} == {each.replace('**', '*')}" for each in patterns]
                yield f"    filter = {' || '.join(tests).replace('== !', '!= ')}"
            yield '    install_pip = ["conducto"]'
