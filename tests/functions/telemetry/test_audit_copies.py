"""Copies of the audit log in the administrator's bucket."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from tests.fakes.cloud import FakeBlobs

from chalicelib.aws.table_keys import Key
from chalicelib.people.store.members import TableAuditLog
from chalicelib.telemetry.audit import copy_audit
from conducto_core.people.model import AuditEntry
from support.cloud.world import World


def copy(world: World) -> int:
    cloud = world.cloud
    site, clock = cloud.installation.site, cloud.timing.clock
    return copy_audit(cloud.records, cloud.storage.log_bucket, site, clock)


class Audited(World):
    """A cloud whose audit log is copied."""

    def __init__(self) -> None:
        super().__init__()
        self.bucket = FakeBlobs()
        log = TableAuditLog(self.table, lambda: self.now, copied=True)
        self.use(log_bucket=self.bucket, audit=log)

    def add(self, org: str, **fields: Any) -> str:
        given = {"user": "ann", "token": "0", "operation": "control", **fields}
        return self.cloud.records.audit.add(org, AuditEntry(time=self.now, **given))

    def copied(self) -> dict[str, list[dict[str, Any]]]:
        found = {}
        for name in self.bucket.names():
            data = self.bucket.get(name)
            assert data is not None
            found[name] = [json.loads(line) for line in gzip.decompress(data).splitlines()]
        return found


def test_ended_requests_are_copied_once_for_each_organisation() -> None:
    world = Audited()
    world.now = 1_700_000_000.0
    position = world.add("acme", subject="abc-def")
    world.cloud.records.audit.end("acme", position, 200, None)
    world.add("beta", user="bob")
    assert copy(world) == 0  # requests may still be in progress
    world.now += 60
    world.add("acme")

    assert copy(world) == 2
    assert copy(world) == 0

    acme, beta = sorted(world.copied())
    assert acme.startswith("conducto/test/acme/audit/2023-11-14/221320-")
    assert beta.startswith("conducto/test/beta/audit/")
    (entry,) = world.copied()[acme]
    assert entry == {
        "organisation": "acme", "time": 1_700_000_000.0, "user": "ann", "token": "0",
        "operation": "control", "subject": "abc-def", "paths": [], "status": 200, "request": "",
        "client": "", "scopes": [],
    }  # fmt: skip
    assert [one["status"] for one in world.copied()[beta]] == [None]


class InterruptedLog(TableAuditLog):
    """An audit log that is interrupted when the first copy is marked."""

    interrupted = False

    def set_copied(self, key: Key) -> None:
        if not self.interrupted:
            self.interrupted = True
            raise ConnectionError("the function was stopped")
        super().set_copied(key)


def test_copy_that_was_interrupted_is_repeated_under_the_same_name() -> None:
    world = Audited()
    log = InterruptedLog(world.table, lambda: world.now, copied=True)
    world.use(log_bucket=world.bucket, audit=log)
    for _ in range(2):
        world.add("acme")
        world.now += 1
    world.now += 60
    with pytest.raises(ConnectionError):
        copy(world)
    (name,) = world.bucket.names()

    assert copy(world) == 2

    assert world.bucket.names() == [name]
    assert len(world.copied()[name]) == 2


def test_without_a_bucket_nothing_is_marked_or_copied() -> None:
    world = World()
    world.cloud.records.audit.add(
        "acme", AuditEntry(time=world.now, user="ann", token="0", operation="control")
    )
    world.now += 60

    assert list(world.cloud.records.audit.uncopied(world.now)) == []
    assert copy(world) == 0
