"""The loop: events into the machine, its commands out to engine, builder, clock and store.

Everything happens in one event loop. What one turn of the loop changed is written in one
transaction at its end; a command starts only after the attempt that says so has been written.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from itertools import count
from typing import Any, assert_never

from conducto.model.nodes import ancestors
from conducto.model.records import ImageRecord, ImageState
from conducto.model.states import Cause, State
from conducto.semantics import events as ev
from conducto.semantics.dispatch import Ticket
from conducto.semantics.live import LiveExec, Order
from conducto.semantics.pools import PoolKind, kind_of, owner_of
from conducto.semantics.residual import residual
from conducto_local.home import Home
from conducto_local.logs import LogDirectory
from conducto_local.ports import BuiltImage, EngineError, ImageBuilder, ImageError, WorkerStartError
from conducto_local.runner import builds
from conducto_local.runner.containers import Container, Containers
from conducto_local.runner.environment import Surroundings
from conducto_local.runner.flights import (
    LABEL_PIPELINE,
    CommandError,
    Result,
    ended_record,
    labels_of,
    placement_of,
    pool_key,
    pool_owner,
    prepare,
    run_command,
    started_record,
    worker_spec,
)
from conducto_local.runner.kit import Kit
from conducto_local.runner.live import Flight, LiveImage, LivePipeline
from conducto_local.runner.snapshots import Snapshots, limits_from
from conducto_local.secrets.delivery import SecretKeeper
from conducto_local.secrets.port import SecretStoreError
from conducto_local.store.errors import StoreFullError
from conducto_local.store.port import Store, Turn

logger = logging.getLogger(__name__)

#: Seconds between two tries to write when the store takes nothing.
STORE_PAUSE = 2.0


class Scheduler:
    """Runs the loaded pipelines of one agent.

    Attributes:
        live: ``{pipeline id: loaded pipeline}``.
        containers: The containers of all pipelines.
        secrets: What commands get besides their nodes' environment.
        snapshots: Containers that are kept after a failure.
    """

    def __init__(
        self,
        *,
        home: Home,
        store: Store,
        kits: Mapping[str, Kit],
        containers: Containers,
        secrets: SecretKeeper,
        url: Callable[[], str] = str,
    ) -> None:
        self.live: dict[str, LivePipeline] = {}
        self.containers = containers
        self.secrets = secrets
        self.snapshots = Snapshots(store, self.saved, limits_from())
        self._home = home
        self._store = store
        self._kits = kits
        self._url = url
        self._turn_is_due = False
        self._unsaved: dict[str, list[Turn]] = {}
        self._saved: asyncio.Future[None] | None = None
        self._full: str | None = None  # why the store takes nothing
        self._retry: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._numbers = count(1)
        self._closing = False

    # ---- what the service asks --------------------------------------------------------------

    def add(self, live: LivePipeline) -> None:
        """Take a pipeline in."""
        self.live[live.id] = live

    def apply(self, live: LivePipeline, event: ev.Event) -> None:
        """Take an event in and do what follows from it."""
        if isinstance(event, ev.Armed):
            live.set_record(armed=True)
            self.build_images(live)
        elif isinstance(event, ev.Disarmed):
            live.set_record(armed=False)
        for command in live.take_in(event):
            self._obey(live, command)
        self._let_contexts_go(live)
        self.cool_later(live)
        self._wake()

    def lose(self, live: LivePipeline, path: str, attempt: int, why: str) -> None:
        """End an attempt whose container went away with the agent that started it."""
        spec = live.tree.nodes[path].spec
        known = [a for a in self._store.attempts(live.id, path) if a.number == attempt]
        flight = Flight(live, spec, attempt, spec.placement.mem, time.time(), running=True)
        flight.message = why
        flight.record = known[-1] if known else None
        live.flights[path] = flight
        self.apply(live, ev.AttemptFinished(path, attempt, Cause.WORKER_LOST))

    def restart_timers(self, live: LivePipeline) -> None:
        """Give each group that went on after a restart its time limit, whole, anew.

        One that was under way all along never began in the eyes of the machine.
        """
        for path, node in live.tree.nodes.items():
            limit = node.spec.max_time
            if limit is not None and node.state is State.RUNNING and path not in live.timers:
                self._start_timer(live, path, limit)

    def tidy(self, kit: Kit) -> None:
        """Open an engine soon, which removes what an agent that died has left there."""
        self._spawn(self._tidy(kit))

    async def _tidy(self, kit: Kit) -> None:
        try:
            await kit.open()
        except EngineError as error:
            logger.warning("leftovers may stay for now", extra={"why": str(error)})

    def unload(self, live: LivePipeline) -> None:
        """Let go of a pipeline; the store has it."""
        self._flush()
        if live.id not in self._unsaved:
            del self.live[live.id]

    def kit(self, live: LivePipeline) -> Kit:
        """Return the engine of a pipeline."""
        return self._kits[live.record.engine]

    def logs(self, pipeline_id: str) -> LogDirectory:
        """Return the logs of a pipeline."""
        return LogDirectory(self._home.pipeline(pipeline_id).logs)

    def reason(self, flight: Flight) -> str:
        """Return why a queued attempt does not run, as a sentence."""
        image = flight.live.images.get(flight.spec.placement.image)
        if image is not None and image.built is None:
            return f"image {image.record.name} is {image.record.state.value}"
        if flight.ticket is None:
            return "next in the queue"
        if flight.started is None and flight.container is None and flight.taken:
            return "its container starts"
        return self.kit(flight.live).queue().reason(flight.ticket)

    async def saved(self) -> None:
        """Return when everything that happened so far has been written down."""
        if self._saved is None:
            self._saved = asyncio.get_running_loop().create_future()
        self._wake()
        await asyncio.shield(self._saved)

    def build_images(self, live: LivePipeline) -> None:
        """Begin to build every image that an Exec uses which is left to run."""
        left = residual(live.tree)
        specs = () if left is None else left.execs()
        for name in dict.fromkeys(spec.placement.image for spec in specs):
            self.need_image(live, name)

    def forget_contexts(self, live: LivePipeline, paths: Iterable[str]) -> None:
        """Let go of the containers of ``new`` contexts that lie whole in these subtrees.

        All that ran in them runs again, so it begins with a fresh container.
        """
        tops = tuple(paths)

        def is_inside(pool: str) -> bool:
            owner = owner_of(pool)
            return owner is not None and any(top in (owner, *ancestors(owner)) for top in tops)

        self.containers.drop(lambda key: key[0] == live.id and is_inside(str(key[1])))
        for flight in live.flights.values():
            flight.leaves = flight.leaves or is_inside(flight.spec.pool)

    def forget_images(self, live: LivePipeline, paths: Iterable[str]) -> None:
        """Build the images of these subtrees anew when they are next needed."""
        names = {
            node.spec.placement.image
            for path in paths
            for node in live.tree.subtree(live.tree.nodes[path])
        }
        live.builder = None  # a new one reads code and repositories again
        for name in names & live.images.keys():
            image = live.images[name]
            image.built = None
            if image.task is not None:
                image.task.cancel()  # or its older result would count
                image.task = None
            if image.waiting:
                self.need_image(live, name)

    async def landed(self, live: LivePipeline) -> None:
        """Return when nothing of a pipeline is on its way any more."""
        while live.flights:
            await live.news(live.version)

    def cool_later(self, live: LivePipeline, seconds: float | None = None) -> None:
        """Let go of a settled pipeline's network and containers once they have idled."""
        if live.cooling is not None:
            live.cooling.cancel()
            live.cooling = None
        if live.has_network and not live.flights:
            loop = asyncio.get_running_loop()
            delay = self.containers.idle_seconds if seconds is None else seconds
            live.cooling = loop.call_later(delay, lambda: self._spawn(self.cool_down(live)))

    async def cool_down(self, live: LivePipeline) -> None:
        """Remove the containers and the network of a pipeline of which nothing runs."""
        if live.flights:
            return
        self.containers.drop(lambda pool: pool[0] == live.id)
        await self.containers.closed()
        async with live.network_lock:  # who starts a container meanwhile makes the network anew
            if not live.flights:
                await self._remove_network(live)

    async def _remove_network(self, live: LivePipeline) -> None:
        """Remove a pipeline's network, with whatever is left in it."""
        if not live.has_network:
            return
        live.has_network = live.network_is_sure = False
        try:
            await self.kit(live).engine.remove_labelled(LABEL_PIPELINE, live.id)
        except EngineError as error:
            logger.warning("network stays", extra={"pipeline": live.id, "why": str(error)})

    async def close(self) -> None:
        """Stop what runs and write down how it stands; the pipelines stay armed."""
        self._closing = True
        builds_under_way = [task for live in self.live.values() for task in builds.cancel(live)]
        for live in self.live.values():
            for timer in (*live.timers.values(), live.cooling):
                if timer is not None:
                    timer.cancel()
        stopping = [
            flight.container.worker.close()
            for live in self.live.values()
            for flight in live.flights.values()
            if flight.container is not None
        ]
        await asyncio.gather(*builds_under_way, *stopping, return_exceptions=True)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)
        await self.containers.close()
        self._flush()
        for live in self.live.values():
            await self._remove_network(live)  # also of one that goes on with the next agent
        if self._retry is not None:
            self._retry.cancel()

    # ---- commands of the machine ------------------------------------------------------------

    def _obey(self, live: LivePipeline, command: ev.Command) -> None:
        match command:
            case ev.Enqueue():
                self._enqueue(live, command)
            case ev.Withdraw():
                self._drop(live.flights.pop(command.path))
            case ev.Stop():
                self._stop(live.flights[command.path])
            case ev.EndAttempt():
                self._end(live, command)
            case ev.StartTimer():
                self._start_timer(live, command.path, command.seconds)
            case ev.CancelTimer():
                timer = live.timers.pop(command.path, None)
                if timer is not None:
                    timer.cancel()
            case ev.Discard():
                live.discard(command.path)
            case ev.Notify():
                logger.warning(
                    "callback is not available yet, nobody was told",
                    extra={
                        "pipeline": live.id,
                        "path": command.path,
                        "callback": command.callback.name,
                    },
                )
            case _:
                assert_never(command)

    def _enqueue(self, live: LivePipeline, command: ev.Enqueue) -> None:
        spec = live.tree.nodes[command.path].spec
        size = self.kit(live).limits_or_none()
        mem = spec.placement.mem if command.mem is None else command.mem
        if size is not None:
            mem = min(mem, size.mem)  # a retry may ask for more than there is
        flight = Flight(live, spec, command.attempt, mem, time.time())
        live.flights[command.path] = flight
        if kind_of(spec.pool) is PoolKind.CONTEXT:
            live.kept.add(spec.pool)
            self.containers.keep(pool_owner(flight), kept=True)
        image = self.need_image(live, spec.placement.image)
        if image.built is None:
            image.waiting.append(flight)
        else:
            self._queue(flight)

    def _let_contexts_go(self, live: LivePipeline) -> None:
        """A context's container may idle for ever while its group is under way, not after."""
        for pool in list(live.kept):
            owner = live.tree.nodes.get(owner_of(pool) or "")
            if owner is None or owner.state is not State.RUNNING:
                live.kept.discard(pool)
                self.containers.keep((live.id, pool), kept=False)
                if owner is None or owner.state is State.DONE:  # its state is lost by definition
                    self.containers.drop_of((live.id, pool))

    def _queue(self, flight: Flight) -> None:
        placement = placement_of(flight)
        flight.ticket = Ticket(
            flight,
            placement.cpu,
            placement.mem,
            placement.gpu,
            flight.live.limits(flight.spec),
        )
        self.kit(flight.live).queue().add(flight.ticket)
        self._wake()

    def _drop(self, flight: Flight) -> None:
        """Forget an attempt that never ran; whoever carries it sees that it is gone."""
        flight.gone = True
        if flight.ticket is not None and not flight.taken:
            self.kit(flight.live).queue().withdraw(flight.ticket)

    def _stop(self, flight: Flight) -> None:
        flight.stopping = True
        if flight.container is not None:
            self._spawn(flight.container.worker.stop())

    def _end(self, live: LivePipeline, command: ev.EndAttempt) -> None:
        flight = live.flights.pop(command.path)
        if not flight.running:
            self._drop(flight)
        live.set_attempt(ended_record(flight, command.state, command.cause, self.secrets.mask))

    def _start_timer(self, live: LivePipeline, path: str, seconds: float) -> None:
        def reached() -> None:
            live.timers.pop(path, None)
            self.apply(live, ev.TimeLimitReached(path))

        live.timers[path] = asyncio.get_running_loop().call_later(seconds, reached)

    # ---- images -----------------------------------------------------------------------------

    def need_image(self, live: LivePipeline, name: str) -> LiveImage:
        """Return an image of a pipeline; begin to build it if it is not there."""
        image = live.images.get(name)
        if image is None:
            image = live.images[name] = LiveImage(ImageRecord(name=name))
        if image.built is None and (image.task is None or image.task.done()):
            image.task = self._spawn(self._build(live, name, image))
        return image

    async def _build(self, live: LivePipeline, name: str, image: LiveImage) -> None:
        try:
            builder = await self.builder(live)
            image.built = await builds.build(live, name, builder, self.logs(live.id))
        except ImageError as error:
            self._image_failed(live, image, str(error))
        except EngineError as error:
            self._engine_lost(live, error)
        except Exception as error:
            # A bug of ours must fail the nodes that wait, not leave them waiting for ever.
            logger.exception("build failed in the runner", extra={"pipeline": live.id})
            message = f"the runner failed, see agent.log: {error!r}"
            live.set_image(name, state=ImageState.ERROR, error=message, ended=time.time())
            self._image_failed(live, image, message)
        else:
            waiting, image.waiting = image.waiting, []
            for flight in waiting:
                if not flight.gone:
                    self._queue(flight)
        self._wake()

    async def builder(self, live: LivePipeline) -> ImageBuilder:
        """Return what makes the images of a pipeline; the engine is open then."""
        await self.kit(live).open()
        if live.builder is None:
            live.builder = self.kit(live).builder()
        return live.builder

    def _image_failed(self, live: LivePipeline, image: LiveImage, message: str) -> None:
        waiting, image.waiting = image.waiting, []
        image.task = None
        for flight in waiting:
            if not flight.gone:
                flight.message = message
                self.apply(live, ev.AttemptFinished(flight.spec.path, flight.number, Cause.IMAGE))

    # ---- attempts ---------------------------------------------------------------------------

    def _pump(self) -> None:
        """Start what has room."""
        for kit in self._kits.values():
            if kit.dispatcher is None or self._closing:
                continue
            while (ticket := kit.dispatcher.take()) is not None:
                flight = ticket.key
                if not isinstance(flight, Flight):
                    raise TypeError(f"not an attempt: {flight!r}")
                flight.taken = True
                self._spawn(self._fly(flight, ticket, kit))

    async def _fly(self, flight: Flight, ticket: Ticket, kit: Kit) -> None:
        """Carry one attempt from its turn to its end."""
        try:
            await self._run(flight, kit)
        except WorkerStartError as error:
            self._finish(flight, Result(Cause.IMAGE, message=str(error)))
        except EngineError as error:
            self._engine_lost(flight.live, error)
            self._finish(flight, Result(Cause.WORKER_LOST, message=str(error)))
        except Exception as error:
            # A bug of ours must end this attempt, not the agent and not in silence.
            logger.exception("attempt failed in the runner", extra={"path": flight.spec.path})
            message = f"the runner failed, see agent.log: {error!r}"
            self._finish(flight, Result(Cause.WORKER_LOST, message=message))
        finally:
            kit.queue().release(ticket)
            self._wake()

    async def _run(self, flight: Flight, kit: Kit) -> None:
        live, spec = flight.live, flight.spec
        image = live.images[spec.placement.image].built
        if image is None:  # it is built anew since this was queued
            flight.taken = False
            flight.ticket = None
            self.need_image(live, spec.placement.image).waiting.append(flight)
            return
        container = await self._container(flight, image, kit)
        if flight.gone or self._closing:  # with the next agent it is queued anew
            self.containers.put(container, reuse=kind_of(spec.pool) is not PoolKind.ONCE)
            return
        flight.container = container
        flight.running = True
        flight.started = time.time()
        self.apply(live, ev.AttemptStarted(spec.path, flight.number))
        result = Result(Cause.WORKER_LOST)
        try:
            result = await self._command(flight, image, kit)
            if spec.snapshot_on_error and _has_failed(flight, result):
                flight.ended = time.time()
                refusal = await self.snapshots.keep(flight, container.worker, kit.engine)
                result = result.with_note(refusal)
        finally:
            lost = result.cause is Cause.WORKER_LOST
            once = kind_of(spec.pool) is PoolKind.ONCE
            self.containers.put(container, reuse=not (lost or once or flight.leaves))
        self._finish(flight, result)

    async def _command(self, flight: Flight, image: BuiltImage, kit: Kit) -> Result:
        around = self.surroundings(flight.live)
        try:
            secrets = await self.secrets.delivery()
            job = prepare(flight, image, around, secrets.env)
        except (CommandError, SecretStoreError) as error:
            return Result(Cause.IMAGE, message=str(error))
        flight.record = started_record(flight, job, image, secrets.mask)
        flight.live.set_attempt(flight.record)
        limits = kit.limits()
        await self.saved()
        if flight.stopping:
            return Result(None)
        return await run_command(flight, job, limits, self.logs(flight.live.id), secrets.mask)

    async def _container(self, flight: Flight, image: BuiltImage, kit: Kit) -> Container:
        live = flight.live

        async def start() -> Any:
            await kit.open()
            network = await self.network(live)
            name = f"conducto_worker_{live.id}_{next(self._numbers)}"
            return await kit.engine.start_worker(
                worker_spec(flight, image, self._home, name, network)
            )

        return await self.containers.get(pool_key(flight, image), start)

    def surroundings(self, live: LivePipeline) -> Surroundings:
        """Return what is the same for every command of a pipeline."""
        return Surroundings(live.id, self._url())

    async def network(self, live: LivePipeline) -> str:
        """Return the name of a pipeline's network, made if need be."""
        name = f"conducto_network_{live.id}"
        async with live.network_lock:  # the second container must wait for the network, too
            if not live.network_is_sure:
                labels = labels_of(live.id, self._home)
                await self.kit(live).engine.ensure_network(name, labels)
                live.has_network = live.network_is_sure = True
        return name

    def _finish(self, flight: Flight, result: Result) -> None:
        """Tell the machine how an attempt ended, unless it was ended from outside."""
        live, spec = flight.live, flight.spec
        if flight.gone or live.flights.get(spec.path) is not flight:
            return
        flight.ended = time.time() if flight.ended is None else flight.ended
        flight.exit_code = result.exit_code
        flight.message = result.message
        flight.peak_memory = result.peak_memory
        if result.tree is not None and not flight.stopping:
            generated, definition = result.tree
            live.graft(spec.lazy_target or "", generated, definition)
            self.apply(live, ev.TreeGenerated(spec.path, generated.nodes))
        seconds = 0.0 if flight.started is None else flight.ended - flight.started
        event = ev.AttemptFinished(spec.path, flight.number, result.cause, seconds, flight.mem)
        self.apply(live, event)

    def _engine_lost(self, live: LivePipeline, error: EngineError) -> None:
        """Pause what needs the engine: nothing that has not started is lost."""
        kit = self.kit(live)
        kit.lost()
        logger.error("engine lost", extra={"engine": live.record.engine, "why": str(error)})
        for other in list(self.live.values()):
            if other.record.engine == live.record.engine and other.record.armed:
                other.set_record(problem=str(error))
                other.network_is_sure = False
                other.builder = None
                self.apply(other, ev.Disarmed())
        self.containers.drop(lambda _pool: True)

    # ---- the turn of the loop ---------------------------------------------------------------

    def _wake(self) -> None:
        if not self._turn_is_due:
            self._turn_is_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_is_due = False
        self._pump()
        self._flush()

    def _flush(self) -> None:
        """Write down what the turn changed; keep it for later when the store takes nothing."""
        for live in self.live.values():
            turn = live.take_turn()
            if turn is not None:
                self._unsaved.setdefault(live.id, []).append(turn)
        try:
            while self._unsaved:
                now = {pipeline: turns[0] for pipeline, turns in self._unsaved.items()}
                self._store.save_all(now)
                self._unsaved = {p: t[1:] for p, t in self._unsaved.items() if len(t) > 1}
        except StoreFullError as error:
            self._store_is_full(error)
            return
        except Exception:
            # A bug of ours. Trying again would keep every pipeline from being written down.
            logger.exception("a turn was not written", extra={"pipelines": list(self._unsaved)})
            self._save_apart()
        self._store_has_room()
        saved, self._saved = self._saved, None
        if saved is not None:
            saved.set_result(None)

    def _save_apart(self) -> None:
        """Write down each pipeline's turns by themselves, and pause those of which it fails."""
        unsaved, self._unsaved = self._unsaved, {}
        for pipeline, turns in unsaved.items():
            try:
                while turns:
                    self._store.save(pipeline, turns[0])
                    del turns[0]
            except StoreFullError:
                self._unsaved[pipeline] = turns
            except Exception as error:
                logger.exception("pipeline is not written", extra={"pipeline": pipeline})
                live = self.live.get(pipeline)
                if live is not None and live.record.armed:
                    live.set_record(problem=f"it cannot be written down, see agent.log: {error!r}")
                    self.apply(live, ev.Disarmed())

    def _store_is_full(self, error: StoreFullError) -> None:
        """What was not written waits; nothing starts that is not written first."""
        if self._full is None:
            self._full = str(error)
            logger.error("store does not take what happened", extra={"why": self._full})
        for live in self.live.values():
            if live.record.problem is None:
                live.set_record(problem=self._full)
        if self._retry is None and not self._closing:
            self._retry = asyncio.get_running_loop().call_later(STORE_PAUSE, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._wake()

    def _store_has_room(self) -> None:
        if self._full is None:
            return
        for live in self.live.values():
            if live.record.problem == self._full:
                live.set_record(problem=None)
        self._full = None
        self._wake()

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a task of the scheduler failed", exc_info=task.exception())


def _has_failed(flight: Flight, result: Result) -> bool:
    """Whether a command ran and failed; one that a person stopped has not."""
    if flight.gone or result.cause in {None, Cause.IMAGE, Cause.WORKER_LOST}:
        return False
    node = flight.live.tree.nodes.get(flight.spec.path)
    return isinstance(node, LiveExec) and node.order in {None, Order.EXPIRE}
