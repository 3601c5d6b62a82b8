"""An installation in moto in which an item of each kind was written."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.api.store import TableConnections
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.named_records import IdempotencyTable
from chalicelib.aws.s3 import S3Bucket
from chalicelib.data.aws import EfsAccessPoints
from chalicelib.debug.store import TableShells
from chalicelib.logs.aws.logs import ChunkedLogs
from chalicelib.people.port import Identity
from chalicelib.people.store.members import TableTokens
from chalicelib.people.store.organisations import TableOrgs
from chalicelib.people.tokens import digest_of
from chalicelib.run.rules.snapshots import SCHEMA, Schema
from chalicelib.run.store import JournalStore
from chalicelib.services import Services
from chalicelib.workers.port import Shell
from conducto_core.run.model.requests import Changes
from conducto_core.run.model.states import Cause
from support.cloud.aws import BUCKET, TABLE, file_system
from support.cloud.world import LARGE, ME, World
from support.trees import form, lazy, leaf, parallel, serial

if TYPE_CHECKING:
    from chalicelib.aws.clients import Clients
    from support.cloud.world import Hand

#: A user's token in the scenes.
TOKEN = "cdo_" + 43 * "t"
SOCKET = "connection-1"
KEY = "a key of the client's own"


@dataclass(frozen=True)
class Scenes:
    """The pipelines and tokens in the written items.

    Attributes:
        running: A pipeline with a running command; others of it wait.
        token: Its worker's.
        failed: One that failed, with a snapshot and a tree that a Lazy printed.
        now: When it all was.
    """

    running: str
    token: str
    failed: str
    now: float


def world_over(clients: Clients, *, schema: Schema = SCHEMA, **more: Any) -> World:
    """Return a world whose records are in AWS; its workers and machines are in memory."""
    world = World(plan=LARGE)
    table, bucket = DynamoTable(clients, TABLE, schema), S3Bucket(clients, BUCKET)
    clock = lambda: world.now  # noqa: E731  as the others have it
    orgs = TableOrgs(table, clock)
    tokens = TableTokens(table, clock)
    world.cloud = world.over(
        store=JournalStore(table, bucket, orgs),
        orgs=orgs,
        tokens=tokens,
        logs=ChunkedLogs(table, bucket),
        blobs=bucket,
        connections=TableConnections(table, clients, str, clock),
        shells=TableShells(table, orgs, clock),
    )
    world.tokens = tokens  # type: ignore[assignment]
    world.services = Services(world.cloud, **more)
    return world


def play(clients: Clients) -> Scenes:
    """Let happen what leaves an item of each kind."""
    world = world_over(clients, snapshot_every=2)
    cloud = world.cloud
    cloud.records.orgs.set_plan(ME.org, LARGE)
    failed = _failed(world)
    worker = _running(world)
    cloud.records.tokens.put(
        digest_of(TOKEN), Identity("acme", "ann", ME.permissions), expires=None
    )
    cloud.connections.opened(SOCKET, ME.org)
    cloud.connections.put(SOCKET, ME.org, worker.task.pipeline_id, 3)
    responses = IdempotencyTable(DynamoTable(clients, TABLE), (ME.org, ME.user))
    responses.begin(KEY, "fingerprint", world.now)
    responses.finish(KEY, b"answer")
    files = EfsAccessPoints(clients, DynamoTable(clients, TABLE), file_system(clients), "test")
    files.of_pipeline(failed)
    cloud.records.orgs.add_usage(ME.org, "2026-11", "a worker", 60.0, 0.25)
    shell = Shell(
        "s1", ME.org, failed, ME.user, "/check", 1, 0.25, 2.0, world.now, world.now + 60.0
    )
    cloud.records.shells.open(shell)
    cloud.records.shells.started(shell, "arn:task")
    cloud.records.shells.is_up(shell)
    cloud.records.shells.end(shell, "its time is over")
    return Scenes(worker.task.pipeline_id, worker.task.token, failed, world.now)


def _failed(world: World) -> str:
    tree = serial(lazy("grow"), leaf("check", callbacks=[["error", ["email", {"to": "a@b.c"}]]]))
    pipeline_id = world.launch(tree, title="Failed")
    world.serve()
    world.running()["/grow/Generate"].finish(tree=form(parallel("x", "y")))
    world.run_out(lambda path: Cause.EXIT_CODE if path == "/check" else None)
    for hand in world.living():
        hand.leave()
    return pipeline_id


def _running(world: World) -> Hand:
    tree = serial(leaf("first"), leaf("long"), leaf("last"))
    pipeline_id = world.launch(tree, title="Running")
    world.control(pipeline_id, "modify", "/last", changes=Changes(command="echo edited"))
    world.serve()
    world.running()["/first"].finish()
    world.serve()
    hand = world.running()["/long"]
    hand.print("half of it\n")
    hand.heartbeat()
    return hand


def dumped(clients: Clients, scenes: Scenes) -> dict[str, Any]:
    """Return everything that is in the table and in the bucket, as JSON."""
    pages = clients.get("dynamodb").get_paginator("scan").paginate(TableName=TABLE)
    items = [item for page in pages for item in page["Items"]]
    s3 = clients.get("s3")
    names = [o["Key"] for o in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())]
    return {
        "scenes": asdict(scenes),
        "items": sorted(map(_written, items), key=lambda item: (item["pk"]["S"], item["sk"]["S"])),
        "objects": {
            name: _base64(s3.get_object(Bucket=BUCKET, Key=name)["Body"].read()) for name in names
        },
    }


def _written(item: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {"B": _base64(value["B"])} if "B" in value else value
        for name, value in sorted(item.items())
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
