"""``conducto patch``: live changes of a pipeline as a change of its script."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conducto_cli.app.exit import DONE, FAILED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client
    from conducto_core.assistants.rules.patch import MadeNode, PatchSite, SourceChange
    from conducto_core.run.model.responses import NodeDetail

#: Prefix of variables in the records of a definition.
_ENV = "__env__"
#: Names of parameters whose records have another one.
_RECORDED = {"image": "image_name"}


def add_arguments(parser: Parser) -> None:
    parser.add_argument("id", metavar="ID", help="ID of the pipeline")
    parser.add_argument("--apply", action="store_true", help="write the scripts, not only print")


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.lookup import find_pipeline
    from conducto_core.assistants.rules.patch import diff, patch

    with open_client() as client:
        id_ = find_pipeline(client, arguments.id).pipeline.id
        definition = _Definition(client.definition(id_).tree)
        nodes = list(_changed(client, id_, definition))
    if not nodes:
        print("no node was modified", file=sys.stderr)
        return DONE
    files = sorted({site.file for node in nodes for site in node.sites})
    texts = {file: text for file in files if (text := _read(file)) is not None}
    found = patch(nodes, texts, definition.uses())
    for file, text in texts.items():
        after = found.sources[file]
        if after != text:
            print(diff(text, after, os.path.relpath(file)), end="")
            if arguments.apply:
                Path(file).write_text(after, encoding="utf-8", newline="")
    for sentence in found.by_hand:
        print(sentence, file=sys.stderr)
    return FAILED if found.by_hand else DONE


def _read(file: str) -> str | None:
    try:
        with Path(file).open(encoding="utf-8", newline="") as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError):
        return None


class _Definition:
    """The nodes of a pipeline as they were launched, by path."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        records = {record["id"]: record for record in tree["nodes"]}
        above = {child: (parent, name) for parent, child, name in tree["edges"]}
        self._records = records
        self._above = above
        self._ids = {self._path(id_): id_ for id_ in records}

    def _path(self, id_: Any) -> str:
        names: list[str] = []
        while id_ in self._above:
            id_, name = self._above[id_]
            names.append(name)
        return "/" + "/".join(reversed(names))

    def record(self, path: str) -> Mapping[str, Any]:
        """Return the record of a node; empty for one that a Lazy has printed."""
        found: Mapping[str, Any] = self._records.get(self._ids.get(path), {})
        return found

    def value(self, path: str, name: str) -> Any:
        """Return the value of a parameter at launch, also from a group above, or None."""
        id_ = self._ids.get(path)
        while id_ is not None:
            if name in self._records[id_]:
                return self._records[id_][name]
            id_ = self._above.get(id_, (None, ""))[0]
        return None

    def sites(self, path: str) -> tuple[PatchSite, ...]:
        """Return the calls that made a node."""
        return _sites(self.record(path))

    def uses(self) -> Counter[PatchSite]:
        """Return the number of nodes with each call."""
        return Counter(site for record in self._records.values() for site in set(_sites(record)))


def _sites(record: Mapping[str, Any]) -> tuple[PatchSite, ...]:
    from conducto_core.assistants.rules.patch import PatchSite

    if not record.get("file"):
        return ()
    first = PatchSite(record["file"], record["line"])
    return (first, *(PatchSite(file, line) for file, line in record.get("calls") or ()))


def _changed(client: Client, id_: str, definition: _Definition) -> Iterator[MadeNode]:
    """Yield the nodes with modified parameters."""
    from conducto_core.assistants.rules.patch import MadeNode

    for view in client.tree(id_, attempts="none"):
        if view.modified:
            yield MadeNode(
                view.path,
                view.path.rpartition("/")[2],
                definition.record(view.path).get("command"),
                definition.sites(view.path),
                tuple(_changes(client.node(id_, view.path), definition)),
            )


def _changes(detail: NodeDetail, definition: _Definition) -> Iterator[SourceChange]:
    from conducto_core.assistants.rules.patch import ABSENT, SourceChange
    from conducto_core.command.server import REPORT_FILES

    path = detail.node.path
    record = definition.record(path)
    values = {one.name: one for one in detail.parameters}
    for name in detail.modified:
        if name == "env":
            before = {key[len(_ENV) :]: v for key, v in record.items() if key.startswith(_ENV)}
            after = {one.name: one.value for one in detail.env if one.source == path}
            # `junit=` and `coverage=` set some; the record of a Lazy's node is not here.
            for key in sorted({*before, *after} - REPORT_FILES.keys()):
                old, new = before.get(key, ABSENT), after.get(key, ABSENT)
                if old != new:
                    yield SourceChange(f"env.{key}", old, new)
        elif name == "command":
            yield SourceChange(name, record.get("command", ABSENT), detail.node.command)
        else:
            launched = definition.value(path, _RECORDED.get(name, name))
            now = values.get(name)
            own = now is not None and now.source == path
            new = now.value if now is not None and own else ABSENT
            yield SourceChange(name, ABSENT if launched is None else launched, new)
