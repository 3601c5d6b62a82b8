"""Calls to a server in the same process, without the network."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from conducto_emulator.moto.server import InProcessTransport

if TYPE_CHECKING:
    from collections.abc import Iterator

#: No server listens there: every response came from within the process.
ENDPOINT = "http://127.0.0.1:9"


@pytest.fixture
def way() -> Iterator[InProcessTransport]:
    made = InProcessTransport(ENDPOINT, DomainDispatcherApplication(create_backend_app))
    made.open()
    yield made
    made.close()


def client(service: str, endpoint: str = ENDPOINT) -> Any:
    config = Config(retries={"total_max_attempts": 1}, signature_version="s3v4")
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=config,
    )


@pytest.mark.usefixtures("way")
def test_bytes_go_there_and_come_back() -> None:
    s3, content = client("s3"), bytes(range(256)) * 1000
    s3.create_bucket(Bucket="short")

    s3.put_object(Bucket="short", Key="a b/ü+%", Body=content)
    s3.upload_fileobj(io.BytesIO(content * 40), "short", "large")

    assert s3.get_object(Bucket="short", Key="a b/ü+%")["Body"].read() == content
    part = s3.get_object(Bucket="short", Key="large", Range="bytes=255-256")["Body"].read()
    assert part == b"\xff\x00"
    assert sum(map(len, s3.get_object(Bucket="short", Key="large")["Body"].iter_chunks())) == (
        40 * len(content)
    )


@pytest.mark.usefixtures("way")
def test_rejection_equals_that_of_the_network() -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        client("s3").get_object(Bucket="short-none", Key="x")


@pytest.mark.usefixtures("way")
def test_other_addresses_use_the_network() -> None:
    with pytest.raises(EndpointConnectionError):
        client("s3", "http://127.0.0.1:7").list_buckets()


def test_closed_client_uses_the_network(way: InProcessTransport) -> None:
    s3 = client("s3")
    s3.list_buckets()

    way.close()

    with pytest.raises(EndpointConnectionError):
        s3.list_buckets()
