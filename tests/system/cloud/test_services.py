"""Services of emulated workers: real containers that share the network of the worker."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import conducto as co
from conducto.errors import ConductoError
from conducto_core.run.model.states import Cause
from support.stand_ins import ensure

if TYPE_CHECKING:
    from support.cloud.emulated import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

POSTGRES = co.Service(
    "postgres:16", env={"POSTGRES_PASSWORD": "x"}, ready="pg_isready", port=5432, mem=0.5
)
REDIS = co.Service("redis:7", port=6379, mem=0.2)
PSQL = "PGPASSWORD=x psql -qtA -h $DB_HOST -p $DB_PORT -U postgres -c"


@pytest.fixture(autouse=True)
def _images() -> None:
    ensure(["postgres:16", "redis:7"])


def test_commands_use_the_services_of_their_worker(me: Cloud) -> None:
    root = co.Serial(image="postgres:16", services={"db": POSTGRES, "queue": REDIS})
    root["write"] = co.Exec(f"{PSQL} 'create table t as select 7 as x'")
    root["read"] = co.Exec(
        f"{PSQL} 'select x from t'; redis-cli -h $QUEUE_HOST -p $QUEUE_PORT ping; getent hosts db"
    )
    run = me.run(root)
    assert run.output("/read").split() == [b"7", b"PONG", b"127.0.0.1", b"db", b"queue"]


def test_services_that_fail_end_their_commands(me: Cloud) -> None:
    dying = co.Service("busybox:latest", command=["sh", "-c", "echo alive; sleep 8; exit 3"])
    never = co.Service("busybox:latest", command=["sleep", "99"], ready="exit 1", ready_timeout=3)
    root = co.Parallel(image="busybox:latest")
    root["dies"] = co.Exec("echo begun; sleep 100", services={"db": dying})
    root["never"] = co.Exec("true", services={"db": never})
    missing = co.Service("busybox:latest", command=["no-such-program"])
    root["missing"] = co.Exec("true", services={"db": missing})
    run = me.run(root)
    ends = {path: run.attempts(path)[-1] for path in ("/dies", "/never", "/missing")}
    assert {end.cause for end in ends.values()} == {Cause.SERVICE}
    assert "service 'db' (busybox:latest) ended with exit code 3" in str(ends["/dies"].message)
    assert "not ready within 3 s: ready='exit 1'" in str(ends["/never"].message)
    assert "no-such-program" in str(ends["/missing"].message)
    assert run.output("/dies") == b"begun\n"
    place = me.client.service_output(run.id, "/dies", service="db").text
    assert re.fullmatch(r"conducto: .* stream worker/service-db/[0-9a-f]{32}\n", place)


def test_services_with_one_port_are_refused(me: Cloud) -> None:
    other = co.Service("redis:7", port=6379)
    root = co.Exec("true", image="busybox:latest", services={"a": REDIS, "b": other})
    with pytest.raises(ConductoError, match="'a' and 'b' both have port 6379"):
        me.run(root)
