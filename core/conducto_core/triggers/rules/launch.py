"""The launch of a section of ``.conducto.cfg``: a Lazy whose image has the code of the event."""

from collections.abc import Iterable
from posixpath import normpath
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from conducto_core.images.model import CloneSource, ImageSources
from conducto_core.run.model.records import GitOrigin, PipelineRecord
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.triggers.model import GitEvent, Provider, Trigger
from conducto_core.triggers.rules.config import Duplicate, Section, variables_of
from conducto_core.triggers.rules.providers import GIT_APIS, unique_tag

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_IMAGE = {"name": "code", "image": "python:3.12-slim"}


def launch_of(section: Section, event: GitEvent, clone: CloneSource) -> LaunchRequest:
    """Return the launch request for an event.

    Args:
        section: The section.
        event: The event; it has a commit.
        clone: The code.

    Raises:
        TriggerConfigError: A value of the event cannot be in the command.
    """
    command = section.command_for(event)
    image = {**_DEFAULT_IMAGE, **section.image}
    image |= {"copy_url": event.url, "copy_branch": event.branch}
    env = {f"__env__{name}": value for name, value in variables_of(event).items()}
    generate: dict[str, Any] = {"id": "1", "type": "Exec", "command": command, **env}
    generate["callbacks"] = [["done", ["deserialize_into_node", {"target": "/Execute"}]]]
    root: dict[str, Any] = {"id": "0", "type": "Serial", "image_name": image["name"]}
    root["callbacks"] = _slack(section)
    tree = {
        "nodes": [root, generate, {"id": "2", "type": "Parallel"}],
        "edges": [["0", "1", "Generate"], ["0", "2", "Execute"]],
        "images": {image["name"]: image},
    }
    return LaunchRequest(
        tree=tree,
        run=True,
        title=_title(event),
        tags=(unique_tag(event, section.name), f"conducto/cfg/{section.name.replace(' ', '/')}"),
        program=f"{event.repository}/{section.name}",
        sources={image["name"]: _sources(event, clone, section)},
    )


def clone_of(trigger: Trigger, event: GitEvent) -> CloneSource:
    """Return the code of an event.

    The clone gets the trigger's token when its image is built; that of a fork gets none.
    """
    lends = (trigger.app or trigger.has_token) and not event.fork
    return CloneSource(
        url=event.url,
        branch=event.branch,
        commit=event.sha,
        trigger=trigger.name if lends else None,
    )


def script_of(command: str) -> str | None:
    """Return the script that a command of a repository runs, or None.

    >>> script_of("python3 ./pipelines/nightly.py --full")
    'pipelines/nightly.py'
    """
    found = (word for word in command.split() if word.endswith(".py"))
    script = next(found, None)
    return None if script is None else normpath(script)


def origin_of(
    trigger: str, provider: Provider, section: str, event: GitEvent, *, path: str | None = None
) -> GitOrigin:
    """Return the part of a pipeline's record about the event that launched it.

    ``path`` is the script, if the event proves that the repository's configuration runs it.
    """
    return GitOrigin(
        trigger=trigger,
        provider=provider,
        repository=event.repository,
        section=section,
        url=event.url,
        branch=event.branch,
        sha=event.sha,
        untrusted=event.fork,
        path=path,
        base=event.base,
        base_branch=event.base_branch,
    )


def of_repository(event: GitEvent, repository: str) -> bool:
    """Return whether an event is of the repository at an address; only a fork has other code."""
    name = repository_of(repository).casefold()
    same_code = event.fork or repository_of(event.url).casefold() == name
    same_host = urlsplit(event.url).netloc == urlsplit(repository).netloc
    return same_host and same_code and event.repository.casefold() == name


def same_repository(one: str, other: str) -> bool:
    """Return whether two addresses are of one repository."""
    names = repository_of(one).casefold(), repository_of(other).casefold()
    return same_host(one, other) and names[0] == names[1]


def same_host(one: str, other: str) -> bool:
    """Return whether two addresses have the same scheme, host and port."""
    return urlsplit(one)[:2] == urlsplit(other)[:2]


def repository_of(url: str) -> str:
    """Return ``owner/name`` of a repository's address."""
    return urlsplit(url).path.strip("/").removesuffix(".git")


def with_token(url: str, provider: Provider, token: str | None) -> str:
    """Return an address to clone from, with a token if there is one."""
    parts = urlsplit(url)
    api = GIT_APIS.get(provider)
    encrypted = parts.scheme == "https" or parts.hostname in _LOOPBACK
    if not token or api is None or not encrypted:
        return url
    return urlunsplit(
        parts._replace(netloc=f"{api.token_user}:{quote(token, safe='')}@{parts.netloc}")
    )


def same_commit(record: PipelineRecord, event: GitEvent) -> bool:
    """Return whether a pipeline is for the commit of an event."""
    return record.git is not None and record.git.sha == event.sha


def is_of_request(record: PipelineRecord, event: GitEvent) -> bool:
    """Return whether a pipeline is for the pull request of an event."""
    begin, end = f"conducto/unique/{event.repository}/", f"/pr/{event.number}"
    return any(tag.startswith(begin) and tag.endswith(end) for tag in record.tags)


def is_same_subject(one: GitEvent, other: GitEvent) -> bool:
    """Return whether two events are of one kind and about one branch or pull request."""
    return one.kind is other.kind and unique_tag(one, "") == unique_tag(other, "")


def rivals(
    records: Iterable[PipelineRecord], section: Section, event: GitEvent
) -> list[PipelineRecord]:
    """Return the active pipelines because of which the duplicate rule of a section applies.

    For SUPPRESS_NEW these are the ones for the same commit: a new commit is never left untested.
    """
    tag = unique_tag(event, section.name)
    active = [each for each in records if tag in each.tags and not each.status.settled]
    if section.duplicate is Duplicate.SUPPRESS_NEW:
        return [each for each in active if same_commit(each, event)]
    return active


def _title(event: GitEvent) -> str:
    what = f"#{event.number}" if event.number else event.branch
    return f"{event.repository} {event.kind.value} {what}"


def _slack(section: Section) -> list[Any]:
    if section.slack_channel is None:
        return []
    arguments = {"recipient": section.slack_channel}
    ends = {**arguments, "node_summary": True}
    return [
        ["running", ["slack_status", arguments]],
        ["done", ["slack_status", ends]],
        ["error", ["slack_status", ends]],
    ]


def _sources(event: GitEvent, clone: CloneSource, section: Section) -> ImageSources:
    text = section.image.get("dockerfile_text")
    return ImageSources(
        dockerfile=text,
        clone=clone,
        code_env={
            "CONDUCTO_GIT_URL": event.url,
            "CONDUCTO_GIT_BRANCH": event.branch,
            "CONDUCTO_GIT_SHA": event.sha,
        },
    )
