"""Attacks on a running emulator from containers, web pages and other processes of the machine."""

from __future__ import annotations

import http.client
import json
import shlex
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import docker
import pytest
from botocore.exceptions import ClientError
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

import conducto as co
from conducto_core.api.operation import API_ROOT
from conducto_core.run.model.requests import Action
from conducto_emulator.tasks import builds
from conducto_emulator.tasks.containers import TASK_LABEL
from conducto_emulator.tasks.tasks import Knobs
from support.cloud.emulated import ByHand, Cloud

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

BUILD, SECRETS = "CodeBuild_20161006.StartBuild", "secretsmanager.ListSecrets"


def forged(target: str) -> dict[str, str]:
    """Return headers with a signature that no key made; the emulator accepted any."""
    service = "codebuild" if target == BUILD else "secretsmanager"
    credential = f"Credential=emulator/20260101/us-east-1/{service}/aws4_request"
    signature = f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    return {
        "X-Amz-Target": target,
        "Authorization": f"AWS4-HMAC-SHA256 {credential}, {signature}",
        "Content-Type": "application/x-amz-json-1.1",
    }


def build(proof: Path) -> dict[str, Any]:
    """Return the request that ran a command on the host."""
    spec = {"phases": {"build": {"commands": [f"id > {proof}"]}}}
    return {
        "projectName": "conducto-emulator-images",
        "buildspecOverride": json.dumps(spec),
        "environmentVariablesOverride": [{"name": "LOG_URL", "value": "http://127.0.0.1:9/"}],
    }


def post(address: str, target: str, body: Any, **headers: str) -> tuple[int, Mapping[str, str]]:
    """Return status and headers of the response to an unsigned call of AWS."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    try:
        connection.request("POST", "/", json.dumps(body), {**forged(target), **headers})
        response = connection.getresponse()
        response.read()
        return response.status, {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()


def appeared(proof: Path) -> bool:
    """Return whether the attack succeeded; a build that was accepted starts at once."""
    end = time.monotonic() + 2
    while not proof.exists() and time.monotonic() < end:
        time.sleep(0.1)
    return proof.exists()


@pytest.fixture
def network() -> Iterator[str]:
    """A network such as a local pipeline has."""
    made: Any = docker.from_env().networks.create("conducto-test-attack")
    yield made.name
    made.remove()


def test_containers_of_local_pipelines_cannot_start_builds_or_read_secrets(
    me: Cloud, network: str, tmp_path: Path
) -> None:
    endpoint = me.emulator.moto.endpoint

    def attack(target: str, body: Any) -> str:
        headers = (f"{name}: {value}" for name, value in forged(target).items())
        given = " ".join(f"--header {shlex.quote(header)}" for header in headers)
        data = shlex.quote(json.dumps(body))
        command = f"wget -T 20 -O- {given} --post-data {data} {endpoint}/ 2>&1 || true"
        engine: Any = docker.from_env()
        said = engine.containers.run(
            "busybox:latest", ["sh", "-c", command], network=network, remove=True
        )
        return str(said.decode())

    started = attack(BUILD, build(tmp_path / "proof"))
    listed = attack(SECRETS, {})

    assert "403" in started
    assert "403" in listed
    assert not appeared(tmp_path / "proof")


def test_pages_of_other_origins_cannot_start_builds_or_read_secrets(
    me: Cloud, tmp_path: Path
) -> None:
    aws = me.emulator.moto.endpoint.replace(me.emulator.host, "127.0.0.1")
    page = {"Origin": "https://evil.example"}

    for address in (aws, me.emulator.moto.endpoint):
        status, headers = post(address, BUILD, build(tmp_path / "proof"), **page)
        assert (status, [name for name in headers if "access-control" in name]) == (403, [])
        assert post(address, SECRETS, {}, **page)[0] == 403
    assert post(aws, SECRETS, {}, Host="evil.example")[0] == 421
    assert not appeared(tmp_path / "proof")


def test_api_refuses_other_hosts_and_pages_of_other_origins(me: Cloud) -> None:
    def ask(**headers: str) -> int:
        connection = http.client.HTTPConnection(urlsplit(me.emulator.url).netloc, timeout=30)
        try:
            token = {"Authorization": f"Bearer {me.token}"}
            connection.request("GET", f"{API_ROOT}/whoami", headers={**token, **headers})
            return connection.getresponse().status
        finally:
            connection.close()

    assert ask() == 200
    assert ask(Origin=me.emulator.page) == 200
    assert ask(Origin="https://evil.example") == 403
    assert ask(Origin="null") == 403
    assert ask(Host="evil.example") == 421
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"{me.emulator.url.replace('http', 'ws')}/socket", origin=Origin("https://evil.x"))


def tried(attempt: str, name: str) -> str:
    """Return a command that says whether an attempt succeeded."""
    return f"({attempt}) >/dev/null 2>&1 && echo {name} REACHED || echo {name} refused"


def test_command_in_a_worker_cannot_reach_other_organisations(me: Cloud) -> None:
    other = Cloud(me.emulator, me.org + "-other")
    image: Any = {"image": "busybox:latest", "cpu": 0.25, "mem": 0.25}
    hold = "echo needle >/conducto/data/pipeline/needle; echo up; sleep 300"
    victim = other.launch(co.Exec(hold, **image))
    victim.until(lambda: b"up" in victim.output("/"), "its file is written")
    (task,) = me.emulator.board.list(started_by=victim.id, stopped=False)
    found: Any = docker.from_env().containers.list(filters={"label": f"{TASK_LABEL}={task.id}"})
    networks = [each.attrs["NetworkSettings"]["Networks"] for each in found]
    peers = {one["IPAddress"] for each in networks for one in each.values() if one["IPAddress"]}
    api, aws = f"{me.emulator.url}{API_ROOT}", me.emulator.moto.endpoint
    unsigned = "wget -T 10 -O- --header 'Content-Type: application/x-amz-json-1.1'"
    targets = ("AWSStepFunctions.ListActivities", "DynamoDB_20120810.ListTables")
    # The images of the other organisation, and those that a pull-through rule would fetch.
    registry = [
        f"AmazonEC2ContainerRegistry_V20150921.{name}"
        for name in ("GetAuthorizationToken", "BatchGetImage", "GetDownloadUrlForLayer")
    ]
    attempts = {
        "api": f"wget -T 10 -O- {api}/pipelines/{victim.id}",
        "worker": f"wget -T 10 -O- --post-data '{{}}' {api}/worker/start",
        **{
            name: f"{unsigned} --header 'X-Amz-Target: {name}' --post-data '{{}}' {aws}/"
            for name in (*targets, *registry)
        },
        "role": "wget -T 1 -O- 169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "instance": "wget -T 1 -O- 169.254.169.254/latest/meta-data/",
        "nfs": f"mkdir -p /x && mount -t nfs {me.emulator.host}:/ /x",
        "file": 'test -n "$(find / -xdev -name needle)" || ls -R /conducto/data | grep needle',
        "environment": "env | grep -E '^(AWS_(CONTAINER|SECRET|SESSION)|ECS_)'",
        **{
            f"port-{port}": f"nc -w 3 {peer} {port} </dev/null"
            for peer in peers
            for port in (22, 80, 443, 2049, 8080)
        },
    }
    assert peers

    run = me.run(co.Exec("; ".join(tried(a, name) for name, a in attempts.items()), **image))

    said = run.output("/").decode().splitlines()
    assert said == [f"{name} refused" for name in attempts]
    victim.control(Action.KILL, "/")
    other.close()


def test_strangers_cannot_write_to_connections(me: Cloud) -> None:
    connection = http.client.HTTPConnection(urlsplit(me.emulator.url).netloc, timeout=30)
    connection.request("POST", "/socket/@connections/any", b"{}")
    assert connection.getresponse().status == 403
    connection.close()


def test_commands_get_no_key_and_workers_one_that_only_polls(me: Cloud, tmp_path: Path) -> None:
    run = me.run(co.Exec("env", image="busybox:latest", cpu=0.25, mem=0.25))
    said = run.output("/").decode()
    assert "PATH=" in said
    assert not [each for each in (me.emulator.key.id, "AWS_ACCESS_KEY_ID") if each in said]

    me.emulator.board.knobs.delay = 3600
    waiting = me.launch(co.Exec("true", image="busybox:latest", cpu=0.25, mem=0.25))
    waiting.until(lambda: bool(me.emulator.board.list(started_by=waiting.id, stopped=False)))
    (task,) = me.emulator.board.list(started_by=waiting.id, stopped=False)
    me.emulator.board.knobs = Knobs()
    worker = ByHand(me, task)
    lent = worker.instructions.credentials
    assert lent is not None
    session = boto3.session.Session(lent.access_key, lent.secret_key, lent.session_token)

    assert worker.poll() is not None
    with pytest.raises(ClientError, match="does not allow"):
        session.client("secretsmanager", endpoint_url=me.emulator.moto.endpoint).list_secrets()
    with pytest.raises(ClientError, match="does not allow"):
        session.client("codebuild", endpoint_url=me.emulator.moto.endpoint).start_build(
            **build(tmp_path / "proof")
        )
    images = session.client("ecr", endpoint_url=me.emulator.moto.endpoint)
    others = f"{builds.REPOSITORY}/{me.org}-other"
    for name in (others, f"ecr-public/{others}"):
        with pytest.raises(ClientError, match="does not allow"):
            images.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "latest"}])
    with pytest.raises(ClientError, match="does not allow"):
        images.get_authorization_token()
    waiting.control(Action.KILL, "/")
    assert not appeared(tmp_path / "proof")
