"""Debug shells of pages in the cloud: their input in order, their output as it appears."""

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import urlencode

from conducto_core.api.dispatch import Conversation, Match, Service
from conducto_core.api.problems import ProblemError
from conducto_core.debug.operations import MAX_SHELLS, SHELL
from conducto_core.debug.terminal import ShellEnd, encoded
from conducto_core.remote.model import PART_BYTES, AgentFrame, Caller, ShellInput, ShellOutput
from conducto_local.remote.asks import Policy
from conducto_local.remote.connection import Channel

logger = logging.getLogger(__name__)

#: Maximum number of input frames that wait for an earlier one.
_MAX_WAITING = 200
#: Seconds to wait for the first frame of a shell.
_FIRST_SECONDS = 10.0


class RemoteShells:
    """The shells of one agent that are open in pages of the cloud."""

    def __init__(self, service: Service, policy: Policy, channel: Channel) -> None:
        self._service = service
        self._policy = policy
        self._channel = channel
        self._open: dict[str, _Shell] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._open)

    def handle(self, frame: ShellInput) -> None:
        """Process a frame; the first one of a shell need not arrive first."""
        shell = self._open.get(frame.id)
        if frame.close:
            if shell is not None:
                shell.task.cancel()
            return
        if shell is None and len(self._open) < 2 * MAX_SHELLS:
            shell = self._new(frame.id)
        if shell is not None:
            shell.add(frame)

    def _new(self, shell_id: str) -> "_Shell":
        shell = _Shell(self._service, self._policy, self._channel, shell_id)
        self._open[shell_id] = shell
        shell.task.add_done_callback(lambda _: self._open.pop(shell_id, None))
        return shell

    def check(self) -> None:
        """End the shells that a changed policy does not allow."""
        for shell in self._open.values():
            shell.check()

    async def close(self) -> None:
        tasks = [shell.task for shell in self._open.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Shell:
    def __init__(self, service: Service, policy: Policy, channel: Channel, shell_id: str) -> None:
        self._service = service
        self._policy = policy
        self._channel = channel
        self._id = shell_id
        self._next = 0
        self._waiting: dict[int, ShellInput] = {}
        self._inputs: asyncio.Queue[ShellInput | None] = asyncio.Queue()
        self._person: Caller | None = None
        self._sent = 0
        self.task = asyncio.create_task(self._run())

    def add(self, frame: ShellInput) -> None:
        """Add a frame of input; those that are in order are processed."""
        if frame.seq < self._next:
            return
        self._waiting[frame.seq] = frame
        if len(self._waiting) > _MAX_WAITING:  # only this shell suffers
            self._waiting.clear()
            self._inputs.put_nowait(None)
        while (ready := self._waiting.pop(self._next, None)) is not None:
            self._next += 1
            self._inputs.put_nowait(ready)

    def check(self) -> None:
        """End the shell if the machine's policy does not allow it any more."""
        if self._person is not None and self._refusal(self._person) is not None:
            self._inputs.put_nowait(None)

    def _refusal(self, caller: Caller) -> str | None:
        refusal = self._policy.refusal(self._policy.request(SHELL, caller, None))
        return None if refusal is None else f"{refusal.detail}. {refusal.remedy}"

    async def _run(self) -> None:
        try:
            end = await self._serve()
        except ProblemError as error:
            end = ShellEnd(reason=error.problem.detail)
        except ValueError as error:
            end = ShellEnd(reason=str(error))
        await self._send(b"", end)

    async def _serve(self) -> ShellEnd:
        try:
            async with asyncio.timeout(_FIRST_SECONDS):
                first = await self._inputs.get()
        except TimeoutError:
            return ShellEnd(reason="the shell is not open any more")
        if first is None or first.open is None:
            raise ValueError("the first frame of a shell must open it")
        self._person = first.caller
        if (refusal := self._refusal(first.caller)) is not None:
            return ShellEnd(reason=refusal)
        records = await self._service.subscribe(
            Match(SHELL, {}), urlencode(first.open.model_dump(mode="json"))
        )
        logger.info("shell of the cloud opens", extra={"user": first.caller.user})
        try:
            output = asyncio.create_task(self._send_output(records))
            typed = asyncio.create_task(self._forward_input(records, first.caller.user))
            try:
                await asyncio.wait({output, typed}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (output, typed):
                    task.cancel()
                await asyncio.gather(output, typed, return_exceptions=True)
            # Raises ValueError for input that is not valid.
            return output.result() if typed.cancelled() else typed.result()
        finally:
            close = getattr(records, "aclose", None)
            if close is not None:
                await close()
            logger.info("shell of the cloud has ended", extra={"user": first.caller.user})

    async def _forward_input(self, records: object, user: str) -> ShellEnd:
        """Pass input to the shell until it must end."""
        while True:
            frame = await self._inputs.get()
            refusal = self._refusal(Caller(user=user))
            if frame is None or refusal is not None:
                return ShellEnd(reason=refusal or f"input {self._next} is missing")
            if frame.caller.user != user or not isinstance(records, Conversation):
                raise ValueError("the shell belongs to another person")
            if frame.note is not None:
                records.receive(frame.note.model_dump_json())
            if frame.b64:
                records.receive(frame.data)

    async def _send_output(self, records: AsyncIterator[object]) -> ShellEnd:
        async for record in records:
            if isinstance(record, ShellEnd):
                return record
            if isinstance(record, bytes):
                for start in range(0, len(record), PART_BYTES):
                    await self._send(record[start : start + PART_BYTES], None)
        return ShellEnd(reason="the shell ended")

    async def _send(self, data: bytes, end: ShellEnd | None) -> None:
        """Send output once the output before is acknowledged, which slows a fast shell down."""
        await self._channel.send_acked(
            partial(_output, shell=self._id, seq=self._sent, b64=encoded(data), end=end)
        )
        self._sent += 1


def _output(n: int, *, shell: str, seq: int, b64: str, end: ShellEnd | None) -> AgentFrame:
    return ShellOutput(n=n, id=shell, seq=seq, b64=b64, end=end)
