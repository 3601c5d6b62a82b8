"""The link: keeps one connection to the cloud open, and passes its frames on."""

import asyncio
import contextlib
import logging
import os
import platform
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from conducto.api import paths
from conducto_core.api.dispatch import Service
from conducto_core.api.pipelines import Pipelines
from conducto_core.images.sdk_wheel import package_version
from conducto_core.remote.model import (
    ACK_SECONDS,
    PING_SECONDS,
    PROTOCOL,
    RENEW_SECONDS,
    Ask,
    Closing,
    CloudFrame,
    Follow,
    Hello,
    Ping,
    ShellInput,
    Welcome,
)
from conducto_local.agent.state_dir import StateDir
from conducto_local.remote.asks import Asks, Policy
from conducto_local.remote.connection import Channel, LinkConnection, LostError, ViolationError
from conducto_local.remote.follow import Follows
from conducto_local.remote.network import LinkError, RejectedError, SupersededError, open_socket
from conducto_local.remote.policy import LinkSettings, LinkSettingsError, WatchedSettings
from conducto_local.remote.responses import Transfers
from conducto_local.remote.shells import RemoteShells
from conducto_local.remote.summaries import LOOK_SECONDS, LinkFiles, LinkStatus, SummarySender

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LinkTiming:
    """Seconds of everything that the link waits for.

    Attributes:
        tick: Between two looks at the clock and at the configuration.
        look: Between two looks at the pipelines.
        jump: Difference of the clock after a tick that means that the machine slept.
        grace: For frames that are under way on a connection that was replaced.
        stable: After which a connection counts as good: the next backoff starts again.
    """

    tick: float = 2.0
    look: float = LOOK_SECONDS
    jump: float = 20.0
    ping: float = PING_SECONDS
    renew: float = RENEW_SECONDS
    ack: float = ACK_SECONDS
    grace: float = 10.0
    stable: float = 60.0
    first_backoff: float = 1.0
    longest_backoff: float = 300.0


class _SettingsChangedError(Exception):
    """The machine was unlinked, or linked again."""


class Link:
    """The link of one agent; it waits while the profile is not linked.

    Args:
        timing: For tests.
    """

    def __init__(
        self,
        profile: str,
        service: Service,
        pipelines: Pipelines,
        files: LinkFiles,
        timing: LinkTiming | None = None,
    ) -> None:
        self._settings = WatchedSettings(profile)
        self._files = files
        self._timing = LinkTiming() if timing is None else timing
        self._channel = Channel()
        policy = Policy(self._settings.now, files)
        self._summaries = SummarySender(pipelines, self._channel, files)
        self._asks = Asks(
            service, policy, self._channel, Transfers(self._settings.now), self._summaries.scan
        )
        self._follows = Follows(service, policy, self._channel)
        self._shells = RemoteShells(service, policy, self._channel)
        self._retired: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._renewing = False

    async def run(self) -> None:
        """Keep the link open until cancelled."""
        try:
            async with self._background():
                while True:
                    await self._run_once()
        finally:
            self._files.write_status(LinkStatus("closed", time.time(), pid=os.getpid()))

    @contextlib.asynccontextmanager
    async def _background(self) -> AsyncIterator[None]:
        sending = asyncio.create_task(self._send_summaries())
        try:
            yield
        finally:
            sending.cancel()
            for task in self._retired:
                task.cancel()
            await asyncio.gather(sending, *self._retired, return_exceptions=True)
            await self._asks.close()
            await self._end_streams()

    async def _send_summaries(self) -> None:
        while True:
            try:
                await self._summaries.run(self._timing.look)
            except Exception:
                logger.exception("summaries were not sent")
                await asyncio.sleep(self._timing.longest_backoff)

    async def _end_streams(self) -> None:
        await self._follows.close()
        await self._shells.close()

    async def _run_once(self) -> None:
        """Connect and serve until the connection ends, or wait for the next attempt."""
        try:
            link = self._settings.now()
        except LinkSettingsError as error:
            await self._wait_for_change("stopped", str(error), None)
            return
        if link is None:
            await asyncio.sleep(self._timing.tick)
            return
        try:
            await self._serve(link)
        except _SettingsChangedError:
            logger.info("the configuration of the link has changed")
        except SupersededError as error:  # a further attempt would end the other connection
            await self._wait_for_change("stopped", str(error), None)
        except RejectedError as error:  # for example while the installation is deployed
            await self._wait_for_change("rejected", str(error), self._timing.longest_backoff)
        except LinkError as error:
            await self._wait_for_change("waiting", str(error), self._backoff())
        except Exception:
            logger.exception("link failed")
            await asyncio.sleep(self._backoff())

    def _backoff(self) -> float:
        seconds = self._timing.first_backoff * float(1 << self._failures)
        self._failures = min(self._failures + 1, 20)
        longest = min(seconds, self._timing.longest_backoff)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  spreads agents, protects nothing

    async def _wait_for_change(self, state: str, problem: str, seconds: float | None) -> None:
        """Wait until the configuration changes, or for some time."""
        self._record_state(state, problem)
        before, started = self._current_settings(), time.time()
        while self._current_settings() == before:
            if seconds is not None and not 0 <= time.time() - started < seconds:
                return
            await asyncio.sleep(min(self._timing.tick, seconds or self._timing.tick))
        self._failures = 0

    def _current_settings(self) -> LinkSettings | str | None:
        try:
            return self._settings.now()
        except LinkSettingsError as error:
            return str(error)

    def _record_state(self, state: str, problem: str | None = None) -> None:
        self._files.write_status(LinkStatus(state, time.time(), problem, os.getpid()))
        logger.info("link", extra={"state": state, **({"problem": problem} if problem else {})})

    async def _open(self, link: LinkSettings, *, replaces: bool) -> LinkConnection:
        """Open a connection and use it; raises `LinkError`."""
        connection = LinkConnection(await open_socket(link), self._timing.ack)
        try:
            epoch, cursor = self._files.next_epoch(), self._summaries.cursor
            shells = self._shells.ids if replaces else ()
            first = await connection.greet(lambda n: _hello(n, link, epoch, cursor, shells))
            welcome = await _welcome(connection, first)
        except BaseException:
            await connection.close()
            raise
        if not replaces:
            self._summaries.welcomed(welcome.summaries_cursor)
        self._channel.use(connection)
        return connection

    async def _serve(self, link: LinkSettings) -> None:
        """Serve connections, each of which replaces the one before, until one ends."""
        self._record_state("connecting")
        current = await self._open(link, replaces=False)
        self._record_state("connected")
        opened = time.time()
        try:
            while True:
                current, link = await self._serve_one(current, link)
        finally:
            await self._end_streams()
            if time.time() - opened >= self._timing.stable:
                self._failures = 0

    async def _serve_one(
        self, connection: LinkConnection, link: LinkSettings
    ) -> tuple[LinkConnection, LinkSettings]:
        """Serve a connection until it is replaced; return the next one, and its settings.

        Raises:
            LinkError: It ended.
            _SettingsChangedError: The machine is not linked any more.
        """
        reading = asyncio.create_task(self._read(connection))
        keeping = asyncio.create_task(self._hold_connection(connection, link))
        try:
            await asyncio.wait({reading, keeping}, return_when=asyncio.FIRST_COMPLETED)
            if keeping.done() or self._renewing:
                return await keeping
            return await reading
        finally:
            if keeping.done() and not keeping.cancelled() and keeping.exception() is None:
                self._retire(connection, reading)
            else:
                await self._drop(connection, reading, keeping)

    def _retire(self, connection: LinkConnection, reading: "asyncio.Task[NoReturn]") -> None:
        async def later() -> None:
            try:
                await asyncio.wait({reading}, timeout=self._timing.grace)
            finally:
                await self._drop(connection, reading)

        task = asyncio.create_task(later())
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)

    async def _drop(self, connection: LinkConnection, *tasks: "asyncio.Task[object]") -> None:
        self._channel.lost(connection)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await connection.close()

    async def _hold_connection(
        self, connection: LinkConnection, link: LinkSettings
    ) -> tuple[LinkConnection, LinkSettings]:
        """Send pings, and return the next connection in time, or when the policy has changed."""
        timing = self._timing
        opened = pinged = ticked = time.time()
        while True:
            await asyncio.sleep(timing.tick)
            now, found = time.time(), self._current_settings()
            if not isinstance(found, LinkSettings) or replace(found, policy=link.policy) != link:
                raise _SettingsChangedError
            if found != link:
                self._shells.check()
            if found != link or now - opened >= timing.renew:
                if (following := await self._renew(found)) is not None:
                    if found != link:
                        self._record_state("connected")
                    return following, found
                opened = now - timing.renew + timing.stable  # try again in a moment
            elif abs(now - ticked) >= timing.jump or now - pinged >= timing.ping:
                await connection.send_acked(lambda n: Ping(n=n))
                pinged = now
            ticked = now

    async def _renew(self, link: LinkSettings) -> LinkConnection | None:
        self._renewing = True
        try:
            return await self._open(link, replaces=True)
        except LinkError as error:
            logger.warning("the connection was not replaced", extra={"why": str(error)})
            return None
        finally:
            self._renewing = False

    async def _read(self, connection: LinkConnection) -> NoReturn:
        async for frame in connection.frames:
            try:
                await self._handle(frame)
            except ValueError as error:
                raise await connection.violated(f"{type(error).__name__}: {error}") from error
        raise LostError("the connection ended")

    async def _handle(self, frame: CloudFrame) -> None:
        match frame:
            case Ask():
                self._asks.begin(frame)
            case Follow():
                await self._follows.handle(frame)
            case ShellInput():
                self._shells.handle(frame)
            case Closing():
                raise _closed(frame)
            case _:
                raise ValueError(f"unexpected frame of kind {frame.kind!r}")


def _hello(
    number: int, link: LinkSettings, epoch: int, cursor: int, shells: tuple[str, ...]
) -> Hello:
    return Hello(
        n=number,
        protocol=PROTOCOL,
        agent=link.agent,
        host=platform.node()[:255],
        version=package_version(),
        policy=link.policy,
        epoch=epoch,
        cursor=cursor,
        shells=shells,
    )


async def _welcome(connection: LinkConnection, first: CloudFrame) -> Welcome:
    if isinstance(first, Closing):
        raise _closed(first)
    if not isinstance(first, Welcome):
        raise await connection.violated(f"expected a welcome, got a frame of kind {first.kind!r}")
    if first.protocol != PROTOCOL:
        raise RejectedError(
            f"the installation uses version {first.protocol} of the protocol, this agent version "
            f"{PROTOCOL}; install the same version of Conducto"
        )
    return first


def _closed(frame: Closing) -> LinkError:
    detail = f" ({frame.detail})" if frame.detail else ""
    match frame.reason:
        case "superseded":
            return SupersededError(
                "another process is linked with the identity of this agent; if this machine or its "
                f"state directory is a copy, give it its own: conducto agent link --new{detail}"
            )
        case "revoked":
            return RejectedError(
                "the agent's token expired or was revoked; link the machine again: "
                f"conducto agent link{detail}"
            )
        case "unsupported":
            return RejectedError(
                f"the installation does not support version {PROTOCOL} of the protocol; install "
                f"the version of Conducto that it has{detail}"
            )
        case _:
            return ViolationError(f"the installation rejected a frame{detail}")


# ----------------------------------------------------------------------------------------
# The start of a link: its modules are imported only if the profile is linked.
#
# Most agents are not linked, and an import of the link takes a tenth of the start of an agent.


#: Seconds between two looks at the configuration.
_SECONDS = 2.0
_SECTION = "[link]"


async def keep_linked(
    home: StateDir, service: Service, pipelines: Pipelines, seconds: float = _SECONDS
) -> None:
    """Wait until the profile is linked, then keep its link open, until cancelled.

    Args:
        seconds: Between two looks.
    """
    config = Path(paths.profile_dir(home.profile)) / "config"
    seen: int | None = None
    while True:
        changed = _changed_at(config)
        if changed != seen and _has_section(config):
            break
        seen = changed
        await asyncio.sleep(seconds)
    from conducto_local.remote.summaries import LinkFiles  # noqa: PLC0415  see above

    await Link(home.profile, service, pipelines, LinkFiles(home.agent)).run()


def is_linked(home: StateDir) -> bool:
    """Return whether a profile has a section ``[link]``, valid or not."""
    return _has_section(Path(paths.profile_dir(home.profile)) / "config")


def _changed_at(path: Path) -> int | None:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116  called every two seconds
    except OSError:
        return None


def _has_section(path: Path) -> bool:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.strip() == _SECTION for line in lines)
