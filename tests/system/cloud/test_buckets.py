"""Buckets as directories of emulated workers, whose objects boto3 puts and gets."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

import conducto as co
from conducto.errors import ConductoError
from conducto_core.installation.names import Variables
from support.cloud.emulated import Cloud
from support.installation import EMULATED_BUCKETS
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conducto_emulator.emulator import Emulator

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

OUT = co.Bucket("s3://acme-out", mode="rw")


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    return {Variables.BUCKETS: EMULATED_BUCKETS}


@pytest.fixture
def acme(whole: Emulator) -> Iterator[Cloud]:
    ensure(["busybox:latest"])
    made = Cloud(whole, "acme")
    made.admin(kind="set_plan", max_workers=6, max_pipelines=50)
    yield made
    made.close()


def root(**more: object) -> co.Serial:
    return co.Serial(
        image="busybox:latest", buckets={"/data/raw": co.Bucket("s3://acme-data/raw")}, **more
    )


def test_commands_read_objects_and_write_files_that_become_objects(acme: Cloud) -> None:
    s3 = acme.aws("s3")
    s3.put_object(Bucket="acme-data", Key="raw/2026/x", Body=b"from s3")
    s3.put_object(Bucket="acme-data", Key="secret", Body=b"outside of the prefix")
    tree = root()
    tree["copy"] = co.Exec(
        "cat /data/raw/2026/x; ls -R /data/raw; mkdir -p /out/a && cp /data/raw/2026/x /out/a/y",
        buckets={"/out": OUT},
    )
    tree["change"] = co.Exec("echo no > /data/raw/2026/x")
    run = acme.run(tree)

    assert run.output("/copy").startswith(b"from s3")
    assert b"secret" not in run.output("/copy")
    assert run.state("/change") == "error"
    assert b"Read-only file system" in run.output("/change", stream="stderr")
    end = time.monotonic() + 90
    while "Contents" not in s3.list_objects_v2(Bucket="acme-out", Prefix="a/y"):
        assert time.monotonic() < end, "the file became an object in time"
        time.sleep(0.5)
    assert s3.get_object(Bucket="acme-out", Key="a/y")["Body"].read() == b"from s3"
    assert s3.get_object(Bucket="acme-data", Key="raw/2026/x")["Body"].read() == b"from s3"


@pytest.mark.parametrize(
    ("bucket", "reason"),
    [
        (co.Bucket("s3://acme-data/raw", mode="rw"), "registered as read-only"),
        (co.Bucket("s3://acme-data"), "is not registered for acme"),
        (co.Bucket("s3://acme-data/raw/2026"), "use the directory 2026 in it"),
    ],
)
def test_other_buckets_are_refused_at_the_launch(
    acme: Cloud, bucket: co.Bucket, reason: str
) -> None:
    tree = co.Exec("true", image="busybox:latest", buckets={"/data": bucket})
    with pytest.raises(ConductoError, match=reason):
        acme.launch(tree)


def test_other_organisations_do_not_mount_it(me: Cloud) -> None:
    tree = root()
    tree["read"] = co.Exec("ls /data/raw")
    with pytest.raises(ConductoError, match="is not registered for org"):
        me.launch(tree)
