"""moto's server in this process, as a `support.asl.port.Engine`."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from moto.core.config import default_user_config
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from conducto_emulator.moto import shim as moto_shim
from support.asl.port import Offer, TaskGoneError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conducto_core.asl.rules.compiler import Machine

_REGION = "us-east-1"
_ROLE = "arn:aws:iam::123456789012:role/test"


def start_server() -> ThreadedMotoServer:
    """Start moto on a free loopback port, with its interpreter patched and enabled."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ["MOTO_PORT"] = str(port)  # the interpreter's own clients read it
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto_shim.install()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    return server


class MotoEngine:
    """Runs machines in moto or another server; workers poll over HTTP.

    Attributes:
        client: A boto3 client of Step Functions.
    """

    def __init__(self, client: Any = None) -> None:
        self.client = client or moto_shim.client_for(_REGION, "stepfunctions")
        self._machines: set[str] = set()
        self._pollers: dict[str, threading.Thread] = {}
        self._offers: SimpleQueue[Offer] = SimpleQueue()
        self._closed = threading.Event()
        self._executions: list[str] = []

    def create(self, machine: Machine) -> None:
        if machine.arn in self._machines:
            return
        for arn in activities_of(json.loads(machine.definition)):
            self._serve(arn)
        self.client.create_state_machine(
            name=machine.name, definition=machine.definition, roleArn=_ROLE
        )
        self._machines.add(machine.arn)

    def start(self, arn: str, data: Mapping[str, Any]) -> str:
        answer = self.client.start_execution(stateMachineArn=arn, input=json.dumps(data))
        self._executions.append(answer["executionArn"])
        return str(answer["executionArn"])

    def stop(self, execution: str) -> None:
        if self.status(execution) == "RUNNING":
            self.client.stop_execution(executionArn=execution)

    def status(self, execution: str) -> str:
        return str(self.client.describe_execution(executionArn=execution)["status"])

    def offers(self) -> list[Offer]:
        found = []
        while True:
            try:
                found.append(self._offers.get_nowait())
            except Empty:
                return found

    def succeed(self, token: str, output: Mapping[str, Any]) -> None:
        self._respond(self.client.send_task_success, taskToken=token, output=json.dumps(output))

    def fail(self, token: str, error: str) -> None:
        self._respond(self.client.send_task_failure, taskToken=token, error=error)

    def history(self, execution: str) -> list[dict[str, Any]]:
        """Return all events of an execution, fetched by pages."""
        pages = self.client.get_paginator("get_execution_history")
        return [e for page in pages.paginate(executionArn=execution) for e in page["events"]]

    def clear(self) -> None:
        """Stop the running executions, for the next test."""
        for execution in self._executions:
            self.stop(execution)
        self._executions.clear()
        self.offers()

    def close(self) -> None:
        """Stop the running executions and release the pollers."""
        self.clear()
        self._closed.set()
        for poller in self._pollers.values():
            poller.join()

    def _respond(self, send: Any, **fields: str) -> None:
        try:
            send(**fields)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"TaskTimedOut", "InvalidToken"}:
                raise
            raise TaskGoneError(fields["taskToken"]) from error

    def _serve(self, arn: str) -> None:
        if arn in self._pollers and self._pollers[arn].is_alive():
            return
        try:
            self.client.create_activity(name=arn.rsplit(":", 1)[-1])
        except ClientError as error:
            if error.response["Error"]["Code"] != "ActivityAlreadyExists":
                raise
        self._pollers[arn] = threading.Thread(target=self._poll, args=(arn,), daemon=True)
        self._pollers[arn].start()

    def _poll(self, arn: str) -> None:
        while not self._closed.is_set():
            try:
                task = self.client.get_activity_task(activityArn=arn, workerName="scripted")
            except ClientError as error:
                # moto is shared by the whole process, and another test has reset it.
                if error.response["Error"]["Code"] != "ActivityDoesNotExist":
                    raise
                return
            if task.get("taskToken"):
                self._offers.put(Offer(task["taskToken"], json.loads(task["input"])))


def activities_of(scope: Mapping[str, Any]) -> set[str]:
    """Return the ARNs of the activities that a definition names."""
    found = set()
    for state in scope["States"].values():
        if ":activity:" in state.get("Resource", ""):
            found.add(state["Resource"])
        for branch in state.get("Branches", ()):
            found |= activities_of(branch)
    return found
