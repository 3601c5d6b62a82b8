"""Images for the cloud that this machine builds and pushes: ``--build local``.

It runs the script and the recipe of the cloud's build service, so the image and its name are the
same. It comes before the launch: a failed build leaves no pipeline behind, and a launched pipeline
finds its images in the registry.
"""

import base64
import gzip
import io
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from conducto.data.archive import unpack
from conducto.errors import UsageError
from conducto_client import AgentUnreachableError, ClientError
from conducto_client.transport.cloud import CloudClient, fetch, put
from conducto_core.api.cloud_operations import OwnBuild, RegistryLogin
from conducto_core.images import contexts
from conducto_core.images.build_plan import PLATFORM
from conducto_core.images.contexts import Context, ContextError
from conducto_core.run.model.requests import LaunchRequest

Say = Callable[[str], None]

#: The docker client, unless a test has another one.
DOCKER = "docker"
#: Bytes of a build's output that are kept at its beginning, and at its end.
_MAX = 1 << 20
_LAST_LINES = 20
#: Bytes that are searched for these, and read at once.
_TAIL = 1 << 16
_STATE = "==> "
_NOT_BUILT = "was not built on this machine"
#: Linux's error for a program of another architecture, and its remedy.
_FORMAT = "exec format error"
_FOREIGN = (
    "this machine cannot run programs of the workers' architecture; leave --build out, which "
    "builds in the cloud, or let the engine emulate it: "
    "docker run --privileged --rm tonistiigi/binfmt --install all"
)
_NOT_PUSHED = "was built and not pushed"


class ImageBuildError(ClientError):
    """An image was not built or not pushed; the message names it, and has its last output."""


class BuildOutput:
    """What a build prints: the first and the last megabyte of it."""

    def __init__(self) -> None:
        self._first = bytearray()
        self._last = bytearray()
        self._left_out = False

    def add(self, chunk: bytes) -> None:
        room = _MAX - len(self._first)
        self._first += chunk[:room]
        self._last += chunk[room:]
        if len(self._last) > 2 * _MAX:
            self._trim()

    def _trim(self) -> None:
        self._left_out = self._left_out or len(self._last) > _MAX
        del self._last[:-_MAX]

    def all(self) -> bytes:
        self._trim()
        gap = b"\n(what the build printed in between was not kept)\n" if self._left_out else b""
        return bytes(self._first) + gap + bytes(self._last)

    def last_lines(self) -> list[str]:
        """Return the last lines that say something."""
        kept = self._last or self._first
        lines = kept[-_TAIL:].decode(errors="replace").splitlines()
        return [line for line in lines if line.strip()][-_LAST_LINES:]


def build(
    client: CloudClient,
    request: LaunchRequest,
    found: Mapping[str, Context],
    say: Say,
    docker: str = DOCKER,
) -> int:
    """Build and push the images of a launch that the registry has not; return how many.

    Args:
        request: The launch, with the sources of its images.
        found: ``{content hash: directory}`` of these.
        say: Receives the progress, a line at a time.

    Raises:
        UsageError: this machine cannot build.
        ImageBuildError: a build or a push failed.
    """
    response = client.own_builds(request)
    if not response.builds:
        return 0
    if shutil.which(docker) is None:
        raise UsageError(
            "--build local builds images with the docker client, which is not installed on this "
            "machine; install it, or leave --build out: then they are built in the cloud"
        )
    with tempfile.TemporaryDirectory(prefix="conducto-build-") as name:
        for number, one in enumerate(response.builds):
            folder = Path(name, str(number))
            folder.mkdir()
            _Build(one, folder, docker, say).execute(found, response.login)
    return len(response.builds)


class _Build:
    """One image.

    Args:
        folder: An empty directory to do it in.
    """

    def __init__(self, spec: OwnBuild, folder: Path, docker: str, say: Say) -> None:
        self._spec = spec
        self._folder = folder
        self._docker = docker
        self._say = say
        self._output = BuildOutput()

    def execute(self, found: Mapping[str, Context], login: RegistryLogin | None) -> None:
        self._bring_contexts(found)
        recipe = self._folder / "recipe"
        unpack(io.BytesIO(fetch(self._spec.recipe_url)), str(recipe))
        try:
            environment = {
                **os.environ,
                "IMAGE": self._spec.reference,
                "CONTEXTS": str(self._folder / "contexts"),
                "RESULT": str(self._folder / "result.json"),
                "PUSH": "",
                "PLATFORM": "",
            }
            if login is not None:  # else workers use this machine's engine
                environment["PLATFORM"] = PLATFORM
            self._run(["sh", "build.sh"], recipe, environment, _NOT_BUILT)
            # First: an image without a result could not be pushed again.
            result = (self._folder / "result.json").read_bytes()
            put(self._spec.result_url, result, len(result))
            if login is not None:
                self._progress("pushing")
                with self._logged_in(login) as config:
                    push = [self._docker, "--config", config, "push", self._spec.reference]
                    environment = {**os.environ, **self._engine()}
                    self._run(push, self._folder, environment, _NOT_PUSHED)
        finally:
            log = self._output.all()
            try:
                put(self._spec.log_url, log, len(log))
            except AgentUnreachableError as error:
                self._progress(f"what its build printed was not kept: {error}")

    def _bring_contexts(self, found: Mapping[str, Context]) -> None:
        store = self._folder / "contexts"
        store.mkdir()
        for digest in self._spec.contexts:
            try:
                with gzip.open(store / f"{digest}.tar.gz", "wb", compresslevel=1) as zipped:
                    for chunk in contexts.pack_for_upload(found[digest]):
                        zipped.write(chunk)
            except ContextError as error:
                raise UsageError(str(error)) from error

    def _run(
        self, words: list[str], folder: Path, environment: Mapping[str, str], failed: str
    ) -> None:
        with subprocess.Popen(  # noqa: S603  our own script, and the user's docker
            words,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdout is not None  # noqa: S101  it was asked for
            while line := process.stdout.readline(_TAIL):
                self._output.add(line)
                text = line.decode(errors="replace").strip()
                if text.startswith(_STATE):
                    self._progress(text.removeprefix(_STATE))
        if process.returncode != 0:
            lines = self._output.last_lines()
            last = "\n".join(f"  {line}" for line in lines)
            remedy = f"\n{_FOREIGN}" if any(_FORMAT in line for line in lines) else ""
            raise ImageBuildError(
                f"image {self._spec.image!r}: it {failed}; nothing was "
                f"launched. Its last lines:\n{last}{remedy}"
            )

    def _progress(self, state: str) -> None:
        self._say(f"image {self._spec.image!r}: {state}")

    @contextmanager
    def _logged_in(self, login: RegistryLogin) -> Iterator[str]:
        """Give a docker configuration with the log-in; the user's own never has it."""
        folder = self._folder / "docker"
        folder.mkdir(mode=0o700)
        auth = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        file = folder / "config.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps({"auths": {login.registry: {"auth": auth}}}), "utf-8")
        try:
            yield str(folder)
        finally:
            shutil.rmtree(folder)

    def _engine(self) -> dict[str, str]:
        """Return the variable that names the engine in use: docker's contexts are in its config."""
        said = subprocess.run(  # noqa: S603
            [self._docker, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"],
            capture_output=True,
            text=True,
            check=False,
        )
        address = said.stdout.strip()
        return {"DOCKER_HOST": address} if said.returncode == 0 and address else {}
