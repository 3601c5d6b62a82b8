"""The image of the workers' agent, built from the directory that a deployment builds it from."""

from __future__ import annotations

import json
import uuid
import zlib
from typing import TYPE_CHECKING, Any

import docker
import pytest

from conducto_core.command.task_layout import CTL, user_entry
from conducto_worker import image
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.docker

USERS = ["busybox:latest", "conducto-test/debian:latest", "bash:latest"]
LABEL = "com.conducto.test.agent-image"
#: Maximum bytes of the image, in the engine and as it is pulled.
LARGEST, LARGEST_PULLED = 80e6, 40e6
#: Both ends of the contract: what the agent's package in its image asks of a user's container.
CONTRACT = f"""
import json
from pathlib import Path
from conducto_worker.agent.fifo_channel import FifoCommands

commands = FifoCommands(Path({CTL!r}), workdir="/tmp")
commands.open()
commands.wait_ready(60, lambda: False)

def run(script, **env):
    commands.begin(script, env)
    said = {{"stdout": bytearray(), "stderr": bytearray()}}
    while commands.finished is None:
        for stream, data in commands.read(0.5):
            said[stream] += data
    return [commands.finished.code, said["stdout"].decode(), said["stderr"].decode()]

told = [
    run('echo "$A"; echo err >&2; exit 3', A="it's"),
    run('echo "${{A-none}}"; pwd'),
    run("head -c 3000000 /dev/zero | tr '\\\\0' x | wc -c"),
    run("kill -9 $$"),
]
print(json.dumps(told))
commands.close()
"""


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    ensure(["python:3.13-slim", *USERS])
    folder = tmp_path_factory.mktemp("agent")
    image.write_context(folder)
    engine: Any = docker.from_env()
    tag = f"conducto-test-agent:{uuid.uuid4().hex[:12]}"
    engine.images.build(path=str(folder), tag=tag, rm=True)
    yield tag
    engine.images.remove(tag, force=True)


@pytest.fixture
def engine() -> Iterator[Any]:
    """The container engine; containers of this run are removed."""
    client: Any = docker.from_env()
    client.mark = uuid.uuid4().hex
    yield client
    for each in client.containers.list(all=True, filters={"label": f"{LABEL}={client.mark}"}):
        each.remove(force=True, v=True)


def run(engine: Any, name: str, **options: Any) -> Any:
    labels = {LABEL: engine.mark}
    return engine.containers.run(name, detach=True, labels=labels, **options)


@pytest.mark.parametrize("user", USERS)
def test_the_agent_in_its_image_runs_commands_in_a_users_container(
    agent: str, user: str, engine: Any, tmp_path: Path
) -> None:
    volumes = {str(tmp_path): {"bind": CTL}}
    run(engine, user, entrypoint=user_entry(), command=[], volumes=volumes, network_mode="none")

    ours = run(engine, agent, entrypoint=["python3"], command=["-c", CONTRACT], volumes=volumes)

    code = ours.wait(timeout=120)["StatusCode"]
    assert code == 0, ours.logs().decode()
    told = json.loads(ours.logs(stdout=True, stderr=False))
    assert told[0] == [3, "it's\n", "err\n"]
    assert told[1] == [0, "none\n/tmp\n", ""]
    assert (told[2][0], told[2][1].strip()) == (0, "3000000")
    assert told[3][0] == 137


def test_image_starts_the_agent_and_reports_missing_settings(agent: str, engine: Any) -> None:
    ours = run(engine, agent, network_mode="none")

    code = ours.wait(timeout=60)["StatusCode"]

    assert code != 0
    assert "CONDUCTO_API_URL" in ours.logs().decode()


def test_image_has_all_that_the_agent_needs_and_nothing_else(agent: str, engine: Any) -> None:
    listed = """
import importlib, json, os, pkgutil, ssl
from conducto_core.workers.model import Credentials, WorkerInstructions
from conducto_worker import agent
from conducto_worker.agent.aws import connect
for each in pkgutil.walk_packages(agent.__path__, agent.__name__ + "."):
    importlib.import_module(each.name)
keys = Credentials(access_key="a", secret_key="b", session_token="c", expires=None)
connect(WorkerInstructions.model_construct(region="us-east-1", credentials=keys))
names = [os.path.join(top, name) for top, _, names in os.walk("/") for name in names
         if not top.startswith(("/proc", "/sys"))]
print(json.dumps([ssl.create_default_context().cert_store_stats()["x509_ca"], names]))
"""
    ours = run(engine, agent, entrypoint=["python3"], command=["-c", listed], network_mode="none")
    code = ours.wait(timeout=60)["StatusCode"]
    assert code == 0, ours.logs().decode()
    certificates, files = json.loads(ours.logs(stdout=True, stderr=False))

    assert certificates > 50
    assert "/opt/conducto/packages/conducto_worker/agent/__main__.py" in files
    parts = {part for file in files for part in file.split("/")}
    assert not parts & {"cli", "client", "service", "testing", "chalicelib", "conducto_local"}
    assert not parts & {"sh", "bash", "pip", "apt", "boto3", "ensurepip", "test"}
    built = engine.images.get(agent)
    assert built.attrs["Size"] < LARGEST
    layers = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    assert sum(len(layers.compress(part)) for part in built.save()) < LARGEST_PULLED
