"""Candidates for the next word of a command line, for the scripts of `commands.completion`.

Quick and silent: it never starts an agent, and whatever goes wrong means no candidates. The
client is imported only where the agent is asked, for it takes longer than all the rest.
"""

# ruff: noqa: PLC0415

import argparse
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto.wire.node_patterns import node_path
from conducto_cli.app.arguments import SHORTCUTS
from conducto_cli.app.parser import build_parser

if TYPE_CHECKING:
    from conducto_client import Client

_LINE = "--line"
#: Candidates that are worth showing.
_MAX = 500
_PATHS = frozenset({"path", "paths"})
_IMAGES = frozenset({"image", "log"})

FindClient = Callable[[str | None], "Client | None"]


def complete_words(words: Sequence[str], find: "FindClient | None" = None) -> int:
    """Print the candidates for the last word, one a line; return 0.

    Args:
        words: Those behind ``conducto``, the last one being typed; or ``--line`` and the whole
            line up to the cursor, as bash has it.
        find: Gives a client of a profile's agent, None where none runs.
    """
    given = [word for word in words if word != "--"] if words[:1] == ["--"] else list(words)
    quoted = breaks = ""
    if given[:1] == [_LINE]:
        given, quoted, breaks = _words_of(given[1] if len(given) > 1 else "")
    current = given[-1] if given else ""
    found = candidates(given, _running_agent if find is None else find)
    for candidate in sorted(set(found))[:_MAX]:
        if candidate.startswith(current) and candidate.isprintable():
            print(_typed(candidate, quoted)[len(breaks) :])
    return 0


def _words_of(line: str) -> tuple[list[str], str, str]:
    """Return the words of a line behind the command, the quote that is open, and what bash keeps.

    bash takes ``:``, ``=`` and ``@`` for ends of words: candidates begin behind the last of them.
    """
    for quote in ("", "'", '"'):
        with suppress(ValueError):
            words = shlex.split(line + quote)
            if not quote and (not line or (line[-1].isspace() and not line.endswith("\\ "))):
                words.append("")
            kept = "" if quote else re.sub(r"[^:=@]*$", "", words[-1])
            return words[1:], quote, kept
    return [], "", ""


def _typed(candidate: str, quoted: str) -> str:
    """Return a candidate as it has to be typed; within quotes it needs none."""
    if quoted or re.fullmatch(r"[\w@%+=:,./-]*", candidate):
        return candidate
    return re.sub(r"([^\w@%+=:,./-])", r"\\\1", candidate)


@dataclass
class _Place:
    """Where on the command line the last word is.

    Attributes:
        positional: Words so far that are not options, in the innermost command.
        option: The option whose value the word is; None if it is none's.
    """

    parser: argparse.ArgumentParser
    profile: str | None = None
    positional: list[str] = field(default_factory=list)
    option: argparse.Action | None = None


def candidates(words: Sequence[str], find: FindClient) -> Iterable[str]:
    """Return candidates for the last word; some may begin differently."""
    if not words:
        return ()
    place = _place(words[:-1])
    if place.option is not None:
        action: argparse.Action | None = place.option
    elif words[-1].startswith("-"):
        return [name for action in place.parser._actions for name in action.option_strings]  # noqa: SLF001
    else:
        action = _positional(place)
    if action is None:
        return ()
    if action.choices is not None:
        return list(action.choices)
    return _from_agent(action.dest, place, words[-1], find)


def _place(words: Sequence[str]) -> _Place:
    place = _Place(build_parser())
    for word in words:
        if place.option is not None:
            if place.option.dest == "profile":
                place.profile = word
            place.option = None
        elif word.startswith("-") and len(word) > 1:
            action = place.parser._option_string_actions.get(word)  # noqa: SLF001
            place.option = action if action is not None and action.nargs is None else None
        else:
            inner = _subcommands(place.parser)
            if inner is not None and word in inner.choices:
                place.parser, place.positional = inner.choices[word], []
            else:
                place.positional.append(word)
    return place


_Subcommands = argparse._SubParsersAction  # noqa: SLF001 - it has no other name


def _subcommands(
    parser: argparse.ArgumentParser,
) -> "argparse._SubParsersAction[argparse.ArgumentParser] | None":
    return next((a for a in parser._actions if isinstance(a, _Subcommands)), None)  # noqa: SLF001


def _positional(place: _Place) -> argparse.Action | None:
    """Return the argument to which the next word belongs, if it is not an option."""
    actions = [action for action in place.parser._actions if not action.option_strings]  # noqa: SLF001
    number = len(place.positional)
    if number < len(actions):
        return actions[number]
    last = actions[-1] if actions else None
    return last if last is not None and last.nargs in {"*", "+"} else None


def _from_agent(dest: str, place: _Place, word: str, find: FindClient) -> Iterable[str]:
    if dest not in {"id", "words", *_PATHS, *_IMAGES}:
        return ()
    from conducto_client import ClientError

    with suppress(ClientError, UsageError, OSError):
        client = find(place.profile)
        if client is not None:
            with client:
                return list(_asked(client, dest, place, word))
    return ()


def _asked(client: "Client", dest: str, place: _Place, word: str) -> Iterator[str]:
    from conducto_core.run.model.params import ListParams

    first_word = dest == "words" and not place.positional
    if dest == "id" or first_word:
        found = client.list_page(ListParams(limit=_MAX)).pipelines
        yield from (summary.pipeline.id for summary in found)
        if found:
            yield from SHORTCUTS
        if word:
            yield from _unique(summary.pipeline.title for summary in found)
    elif dest in _PATHS:
        yield from _children(client, _id_of(client, place), word)
    elif dest in _IMAGES and place.positional:
        yield from (image.name for image in client.images(_id_of(client, place)))


def _unique(titles: Iterable[str]) -> Iterator[str]:
    return (title for title, number in Counter(titles).items() if number == 1)


def _id_of(client: "Client", place: _Place) -> str:
    from conducto_cli.target.lookup import find_pipeline

    return find_pipeline(client, place.positional[0]).pipeline.id


def _children(client: "Client", pipeline_id: str, word: str) -> Iterator[str]:
    """Yield the nodes of the group that is being typed, as the person writes them."""
    from conducto_core.run.model.params import TreeParams
    from conducto_core.tree.model import parent_of

    lead = "/" if word and not word.startswith("/") else ""
    above = node_path(f"{lead}{word}".rpartition("/")[0])
    query = TreeParams(id=pipeline_id, root=above, depth=1, limit=_MAX, attempts="none")
    for view in client.nodes(query).nodes:
        if parent_of(view.path) is not None and view.path != above:
            name = view.path[len(lead) :]
            yield f"{name}/" if view.children else name


def _running_agent(profile: str | None) -> "Client | None":
    from conducto_cli.target.connection import LocalAgent
    from conducto_client import Client
    from conducto_client.transport.http import HttpTransport

    endpoint = LocalAgent(profile).find()
    return None if endpoint is None else Client(HttpTransport(endpoint))
