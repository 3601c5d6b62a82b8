"""The whole cloud on this machine, from a client's view."""

from __future__ import annotations

import base64
import http.client
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.credentials import Credentials

from chalicelib.people.tokens import new_token
from conducto.tree.launch_form import to_launch_form
from conducto_client.client import Client
from conducto_client.transport.http import HttpTransport
from conducto_client.transport.port import Endpoint
from conducto_core.command.task_layout import AgentVariables
from conducto_core.run.model.requests import Action, ControlRequest, LaunchRequest, NodeView
from conducto_core.workers.model import PROTOCOL, Claim, WorkerStart
from conducto_emulator import resources
from conducto_worker.agent.__main__ import SignalClock
from conducto_worker.agent.api import HttpApi
from conducto_worker.agent.aws import ActivityPoller, connect, prove

if TYPE_CHECKING:
    from conducto_core.run.model.records import AttemptRecord
    from conducto_core.workers.model import ClaimResponse
    from conducto_emulator.emulator import Emulator
    from conducto_worker.agent.port import PolledTask

TIMEOUT = 90.0


class Cloud:
    """One user of one organisation in an emulator."""

    def __init__(self, emulator: Emulator, org: str, user: str = "me") -> None:
        self.emulator = emulator
        self.org = org
        self.token = emulator.token(org, user)
        self.client = Client(HttpTransport(Endpoint(emulator.url, self.token)))

    def close(self) -> None:
        self.client.close()

    def aws(self, service: str) -> Any:
        """Return a client of an AWS service, like those of the functions."""
        return boto3.client(service)

    def admin(self, **request: Any) -> Any:
        return self.emulator.functions.call("admin", {"org": self.org, **request})

    def launch(self, root: Any, *, run: bool = True, **options: Any) -> Run:
        form = root if isinstance(root, dict) else to_launch_form(root)
        return Run(
            self, self.client.launch(LaunchRequest(tree=form, run=run, **options)).pipeline.id
        )

    def run(self, root: Any, **options: Any) -> Run:
        launched = self.launch(root, **options)
        launched.settled()
        return launched


class Run:
    """A pipeline in the emulated cloud."""

    def __init__(self, cloud: Cloud, pipeline_id: str) -> None:
        self.cloud = cloud
        self.client = cloud.client
        self.id = pipeline_id

    def settled(self, seconds: float = TIMEOUT) -> Run:
        return self.until(
            lambda: self.client.get(self.id).pipeline.status.settled, "settled", seconds
        )

    def until(self, condition: Any, what: str = "it", seconds: float = TIMEOUT) -> Run:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"{what} in time; {self.states()}"
            time.sleep(0.2)
        return self

    def state(self, path: str) -> str:
        return str(self.node(path).state)

    def node(self, path: str) -> NodeView:
        return next(iter(self.client.tree(self.id, root=path)))

    def states(self) -> dict[str, str]:
        return {node.path: str(node.state) for node in self.client.tree(self.id)}

    def attempts(self, path: str) -> tuple[AttemptRecord, ...]:
        return self.client.attempts(self.id, path)

    def output(self, path: str, stream: str = "stdout", attempt: int | None = None) -> bytes:
        data = b""
        while True:
            chunk = self.client.log(self.id, path, attempt=attempt, stream=stream, offset=len(data))
            part = base64.b64decode(chunk.data) if isinstance(chunk.data, str) else chunk.data
            data += part
            if not part or len(data) >= chunk.size:
                return data

    def control(self, action: Action, *paths: str, **more: Any) -> None:
        self.client.control(self.id, ControlRequest(action=action, paths=paths, **more))


class ByHand:
    """A worker that a test controls, with the token of one that never starts."""

    def __init__(self, me: Cloud, task: Any) -> None:
        (agent,) = task.parameters["overrides"]["containerOverrides"]
        env = {each["name"]: each["value"] for each in agent["environment"]}
        self.token = env[AgentVariables.TOKEN]
        self._address = urlsplit(me.emulator.url).netloc
        self.api = HttpApi(self._exchange, SignalClock())
        lent = resources.task_env(task.definition["taskRoleArn"], task.id)
        credentials = Credentials(*lent.values())
        key, aws = new_token()[0], resources.aws_env(me.emulator.moto.endpoint)
        proof = prove(task.arn, key, aws, credentials)
        start = WorkerStart(task=task.arn, protocol=PROTOCOL, key=key, proof=proof)
        self.instructions = self.api.start(start)
        self.token = key

    def _exchange(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Send a request; unlike a worker's, its connection is not kept."""
        connection = http.client.HTTPConnection(self._address, timeout=60)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def offer(self) -> PolledTask:
        """Return the next task of its pool, which must exist."""
        found = self.poll()
        assert found is not None
        return found

    def poll(self) -> PolledTask | None:
        """Return the next task of its pool, if one comes."""
        tasks = ActivityPoller(
            self.instructions,
            lambda: self.instructions,
            connect=connect,
            clock=SignalClock(),
            wall=lambda: 0.0,
        )
        return tasks.poll(lambda: False)

    def claim(self, offer: PolledTask) -> ClaimResponse:
        return self.api.claim(Claim(token=offer.token, run=offer.run, node=offer.node))
