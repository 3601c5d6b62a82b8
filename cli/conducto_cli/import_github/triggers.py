"""The events of a workflow, as sections of .conducto.cfg."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.import_github.workflow import EMPTY, Item
from conducto_core.triggers.rules.patterns import NamePatternError, parse_patterns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conducto_cli.import_github.jobs import Report

#: ``{event and key: (section, value that the filter tests)}``
_SECTIONS = {
    "push.branches": ("push", "branch"),
    "push.tags": ("create-tag", "tag"),
    "pull_request.branches": ("pr", "base_branch"),
    "merge_group.branches": ("merge-group", "base_branch"),
}
_PATHS = {"paths": "", "paths-ignore": "!"}
_WITH_PATHS = ("push", "pull_request")
_MANUAL = {"workflow_dispatch", "workflow_call"}
_OF_ALL = {"sha": "{sha}", "user": "{user}", "repository": "{repository}"}
#: ``{section: {parameter: argument}}``. A pull request has no value for ``branch``, because a fork
#: chooses the name of its branch.
_ARGUMENTS = {
    "push": {"event": "push", "branch": "{branch}", **_OF_ALL},
    "create-tag": {"event": "push", "tag": "{tag}", **_OF_ALL},
    "merge-group": {"event": "merge_group", "base_branch": "{base_branch}", **_OF_ALL},
    "pr": {
        "event": "pull_request",
        "head_branch": "{branch}",
        "base_branch": "{base_branch}",
        "number": "{number}",
        "title": '"$CONDUCTO_TRIGGER_TITLE"',
        **_OF_ALL,
    },
}


def events_of(workflow: Item) -> dict[str, Item]:
    on = workflow.get("on") or EMPTY
    if isinstance(on.content, dict):
        return on.fields()
    return {each.text: Item({}, each.line) for each in on.each()}


def refs(workflow: Item) -> tuple[str, ...]:
    """Return the parameters with the name of the branch or tag of an event."""
    push = events_of(workflow).get("push", EMPTY)
    if push.get("tags") is None:
        return ("branch",)
    return ("tag",) if push.get("branches") is None else ("tag", "branch")


def triggers(
    workflow: Item, script: str, parameters: dict[str, str], report: Report
) -> Iterator[str]:
    """Yield the sections of .conducto.cfg with which events launch the pipeline.

    Args:
        workflow: The workflow.
        script: The script, with the name of its function if it has several.
        parameters: The parameters of that function.
        report: Is called with each part without a counterpart.
    """
    for name, event in events_of(workflow).items():
        keys = {key.partition(".")[2]: key for key in _SECTIONS if key.startswith(f"{name}.")}
        if name == "schedule":
            for each in event.each():
                cron = (each.get("cron") or EMPTY).text
                words = f"{script} --event=schedule" if "event" in parameters else script
                add = f"conducto schedule add NAME --cron '{cron}' --zone UTC --git URL"
                report(each.line, f"a schedule; {add} --command 'python {words}'")
            continue
        if not keys and name not in _MANUAL:
            report(event.line, f"the event {name}; a generic trigger can launch the pipeline")
        paths = _paths(event) if name in _WITH_PATHS else []
        for key, item in event.fields().items():
            is_known = key in keys or (bool(paths) and key in _PATHS)
            if not is_known and name not in _MANUAL:
                report(item.line, f"{key} of {name}; the pipeline starts for all of them")
        for key in [key for key in keys if event.get(key) is not None] or [*keys][:1]:
            section, tested = _SECTIONS[keys[key]]
            given = _ARGUMENTS[section]
            named = [f"--{each}={given[each]}" for each in parameters if each in given]
            command = " ".join(["python", script, *named])
            yield from ("", f"    [{section}]", f"    command = {command}")
            patterns = [each.text for each in (event.get(key) or EMPTY).each()]
            if patterns and not {"*", "**"} & {*patterns}:
                tests = [f"{{{tested}}} == {each.replace('**', '*')}" for each in patterns]
                yield f"    filter = {' || '.join(tests).replace('== !', '!= ')}"
            if paths and section != "create-tag":  # GitHub ignores them for tags, too
                yield f"    paths = {' '.join(paths)}"
            yield '    install_pip = ["conducto"]'


def _paths(event: Item) -> list[str]:
    """Return the patterns of changed files; none if one has no counterpart."""
    words = [
        sign + each.text.replace("**.", "**/*.").lstrip("/")
        for key, sign in _PATHS.items()
        for each in (event.get(key) or EMPTY).each()
    ]
    try:
        parse_patterns(" ".join(words), are_paths=True)
    except NamePatternError:
        return []
    return words
