"""The emulator, assembled from its parts in one process."""

import os
import shutil
import sys
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from conducto_core.installation.model import MintToken
from conducto_core.installation.names import (
    BACKGROUND_FUNCTION,
    FUNCTION_SECONDS,
    Variables,
    function_name,
    provider_name,
)
from conducto_core.machines.rules import read_machines
from conducto_emulator import resources
from conducto_emulator.faults.latency import FARGATE_VCPUS, LAMBDA_CONCURRENCY, LAMBDA_RETRY_MINUTES
from conducto_emulator.gateway.access import Keys, new_key
from conducto_emulator.gateway.gateway import LOOPBACK, Gateway
from conducto_emulator.gateway.gateway import PATH as SOCKET_PATH
from conducto_emulator.lambdas import app
from conducto_emulator.lambdas import events as lambda_invoke
from conducto_emulator.lambdas.events import AsyncCalls, EventBus
from conducto_emulator.lambdas.package import PackagedApp
from conducto_emulator.lambdas.queues import Mappings
from conducto_emulator.moto import shim as moto_shim
from conducto_emulator.moto.server import MotoServer, free_port, shared_address
from conducto_emulator.resources import Options
from conducto_emulator.tasks import builds, ecs
from conducto_emulator.tasks import containers as agent_image
from conducto_emulator.tasks import exec as session_manager_plugin
from conducto_emulator.tasks.builds import BuildContainer
from conducto_emulator.tasks.containers import LABEL, METADATA_PATH, DockerContainers, Metadata
from conducto_emulator.tasks.exec import EcsExec
from conducto_emulator.tasks.s3files import BucketDirectories, bucket_names, files_of
from conducto_emulator.tasks.tasks import TaskBoard
from conducto_web import app_folder

#: The function that has the file system.
_DATA = "data"
#: The function that ``conducto admin`` invokes.
_ADMIN = "admin"
#: The function that processes webhook events.
_HOOK = "hook_event"
#: Names of deployed functions that differ from the names in the package.
_HANDLERS = {"api_handler": "app"}


class Emulator:
    """The cloud on this machine; one per process, because moto's state is global.

    Attributes:
        board: The tasks of ECS.
        builds: The builds of images.
        bus: Delivers events.
        functions: The functions of the app.
        gateway: Serves the APIs.
        package: The process of the app, if it is a separate one.
        containers: The containers of tasks.
        host: Address of everything but the web app, reachable from containers.
        identity: The OpenID provider, if people sign in with one.
        stripe: The double of Stripe, if the installation has billing.
        key: Key of the app's functions, with all permissions.
        page: Origin of the web app.
        programs: Directory with replacements of AWS's programs.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        # The mark of its containers; one emulator of a folder runs at a time.
        self.mark = sha256(str(options.folder.resolve()).encode()).hexdigest()[:12]
        host = self.host = shared_address()
        port = options.port or free_port(host)
        self.url = f"http://{host}:{port}"
        self.page = f"http://{LOOPBACK}:{port}"
        self._port = port
        self.key = new_key()
        self._keys = Keys(self.key)
        self.moto = MotoServer(
            host,
            options.aws_port or free_port(host),
            self._keys,
            self.page,
            strictness=options.strict,
            latency=options.latency,
        )
        self.containers = DockerContainers(
            options.folder,
            self.mark,
            root_of=ecs.root_of_access_point,
            agent_env=resources.aws_env(self.moto.endpoint),
            metadata=self.url + METADATA_PATH,
            lend=resources.task_env,
            keep=resources.keep_lines,
            buckets=BucketDirectories(options.folder / "s3files", self._registered),
        )
        start_delay = options.latency.of_task_start if options.latency else float
        self.board = TaskBoard(self.containers, self._task_changed, start_delay)
        if options.strict is not None:
            self.board.max_vcpus = FARGATE_VCPUS.value
        self.board.scarcity = options.scarcity
        declared = read_machines(options.variables.get(Variables.MACHINES, ""))
        self.board.providers = frozenset(
            provider_name(resources.STAGE, each.name, rung)
            for each in declared.values()
            for rung in each.rungs
        )
        self._sessions = EcsExec(self.url, self.containers.container_of)
        self.builds: builds.BuildService
        self.package: PackagedApp | None = None
        self.functions: app.Functions
        self.bus: EventBus
        self.gateway: Gateway
        self.programs = options.folder / "bin"
        self.identity = None if options.identity is None else options.identity(self.page)
        self.stripe = None if options.billing is None else options.billing()
        self._queues: Mappings
        self._open = False

    def start(self) -> None:
        """Start everything; return when the API is ready.

        First removes leftovers of an emulator of the same folder that was killed.
        """
        self.containers.remove_all()
        shutil.rmtree(self._options.folder, ignore_errors=True)
        moto_shim.DESK.poll_seconds = self._options.poll
        latency = self._options.latency
        moto_shim.PACE.seconds = float if latency is None else latency.of_transition
        self.moto.start()
        os.environ.update(self._aws())
        ecs.install(self.board, self._sessions)
        session_manager_plugin.install(self.programs)
        agent = agent_image.ensure(self._options.base)
        self.builds = self._build_service(agent)
        builds.install(self.builds)
        functions = self._create_functions(agent)
        self._connect(functions)
        self._serve(functions)
        self._open = True
        moto_shim.ON_EXECUTION_ENDED.append(self._execution_ended)
        for seconds, function in functions.schedules():
            self.bus.every(seconds / 60.0 * self._options.minute, function)

    def _create_functions(self, agent: str) -> app.Functions:
        """Create the resources of an installation and import its app, with their variables."""
        made = resources.create(self.url, self.url + SOCKET_PATH, agent)
        web_app = {Variables.WEB_APP_URL: self.page}
        if self.identity is not None:
            self.identity.start(resources.is_invited)
            web_app |= self.identity.variables
        if self.stripe is not None:
            web_app |= self.stripe.start_for(self.url, resources.STAGE)
        made = {**made, **web_app, **self._options.variables}
        names = [made.get(Variables.LOG_BUCKET), *bucket_names(self._registered)]
        for name in filter(None, dict.fromkeys(names)):
            resources.create_bucket(name)
        made |= {Variables.BUCKET_FILES: files_of(self._registered)}
        os.environ.update(made)
        root = self.containers.file_system(made[Variables.FILE_SYSTEM])
        os.environ[Variables.DATA_ROOT] = str(root)
        self.functions = app.Functions(self._app(made))
        return self.functions

    def _connect(self, functions: app.Functions) -> None:
        """Let AWS services call the functions: Lambda, rules of EventBridge and queues."""
        packaged = () if self.package is None else (_DATA,)
        by_lambda = (_ADMIN, _HOOK, BACKGROUND_FUNCTION, *packaged)
        calls = self._asynchronous()
        lambda_invoke.install(functions.call, resources.STAGE, by_lambda, calls)
        lambda_invoke.install_rules(functions.call, resources.STAGE, by_lambda, calls)
        self._queues = Mappings(functions.call, resources.STAGE, (_HOOK,))
        self._queues.install()
        self.bus = EventBus(
            functions.rules(), resources.REGION, resources.ACCOUNT, calls, self._options.strict
        )

    def _serve(self, functions: app.Functions) -> None:
        latency = self._options.latency
        metadata = Metadata(self.board, self.containers)
        self.gateway = Gateway(
            functions,
            metadata,
            self._sessions,
            self.host,
            self._port,
            keys=self._keys,
            web_root=app_folder(),
            bucket=self.moto.endpoint,
            identity=None if self.identity is None else self.identity.settings,
            strict=self._options.strict,
            overhead=float if latency is None else latency.of_request,
        )
        self.gateway.start()

    @property
    def _registered(self) -> str:
        """The setting with the buckets that commands may mount."""
        return self._options.variables.get(Variables.BUCKETS, "")

    def _build_service(self, image: str) -> builds.BuildService:
        container = BuildContainer(image, {LABEL: self.mark})
        return builds.BuildService(self._options.folder / "builds", container, self._build_ended)

    def _asynchronous(self) -> AsyncCalls:
        if self._options.strict is None:
            return AsyncCalls()
        return AsyncCalls([each * self._options.minute for each in LAMBDA_RETRY_MINUTES])

    def _app(self, environment: Mapping[str, str]) -> Any:
        """Return the app, or a proxy for its separate process."""
        options, path = self._options, None
        if options.package is None:
            if options.strict is None:
                return app.load(options.functions)
            path = sys.path  # functions of a checkout use this process's path
        root = {Variables.DATA_ROOT: os.environ[Variables.DATA_ROOT]}
        self.package = PackagedApp(options.package or options.functions, {_DATA: root}, path=path)
        if self._options.strict is not None:
            slowness = self._options.strict.slowness
            for name, seconds in FUNCTION_SECONDS.items():
                self.package.seconds[_HANDLERS.get(name, name)] = slowness * seconds
            self.package.concurrency = LAMBDA_CONCURRENCY.value
        if self._options.latency is not None:
            self.package.cold_start = self._options.latency.of_cold_start
        function = {Variables.DATA_FUNCTION: function_name(resources.STAGE, _DATA)}
        return self.package.start({**environment, **self._aws(), **function})

    def _aws(self) -> dict[str, str]:
        return {**resources.aws_env(self.moto.endpoint), **resources.key_env(self.key)}

    def token(self, org: str, user: str) -> str:
        """Return a new token of a user with all permissions in the organisation."""
        request = MintToken(org=org, user=user).model_dump(mode="json")
        return str(self.functions.call("admin", request)["token"])

    def close(self) -> None:
        """Stop everything; remove all containers and files."""
        if self._open:
            self._open = False
            moto_shim.ON_EXECUTION_ENDED.remove(self._execution_ended)
            self.board.stop_all("the emulator is stopping", seconds=self._options.stop)
            self._queues.close()
            self.builds.close()
            self.bus.close()
            self.gateway.close()
        if self.package is not None:
            self.package.close()
        if self.identity is not None:
            self.identity.close()
        if self.stripe is not None:
            self.stripe.close()
        self.containers.remove_all()
        self.moto.close()
        shutil.rmtree(self._options.folder, ignore_errors=True)

    def _task_changed(self, task: dict[str, Any]) -> None:
        if self._open:
            self.bus.publish("aws.ecs", "ECS Task State Change", task)

    def _build_ended(self, detail: Mapping[str, Any]) -> None:
        if self._open:
            self.bus.publish("aws.codebuild", "CodeBuild Build State Change", detail)

    def _execution_ended(self, execution: Any) -> None:
        if not self._open:
            return
        detail = {
            "executionArn": execution.exec_arn,
            "stateMachineArn": execution.state_machine.arn,
            "name": execution.name,
            "status": str(execution.status),
        }
        self.bus.publish("aws.states", "Step Functions Execution Status Change", detail)
