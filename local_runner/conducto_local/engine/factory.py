"""The engines of a profile, and the image builder for plain processes."""

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from conducto_core.images.model import AUTO_SHELL, ImageSpec
from conducto_core.limits.rules import LimitTable
from conducto_core.run.model.records import ImageState
from conducto_local.agent.files import AgentFiles
from conducto_local.agent.state_dir import StateDir, installation_id
from conducto_local.engine.docker.engine import DockerEngine
from conducto_local.engine.port import BuildLog, BuiltImage, ImageError
from conducto_local.engine.process.engine import ProcessEngine
from conducto_local.images.builder import Builder
from conducto_local.images.engine_images import LABEL_IMAGE_HOME
from conducto_local.run.attempt_records import LABEL_HOME, LABEL_PROFILE
from conducto_local.run.context import EngineContext

_SHELLS = ("bash", "ash", "zsh", "sh")


class NullImageBuilder:
    """An `ImageBuilder` for plain processes, which use the host's files: it builds nothing."""

    def for_launch(self) -> "NullImageBuilder":
        """Return itself, which has no state."""
        return self

    async def find(self, reference: str) -> BuiltImage | None:
        del reference
        return None

    async def lookup(self, spec: ImageSpec) -> None:
        del spec

    async def build(self, spec: ImageSpec, log: BuildLog) -> BuiltImage:
        """Return the directories of the host in which the image's commands run.

        Raises:
            ImageError: The code or a shell is missing.
        """
        log.write("plain processes: images are not built, pulled or installed\n")
        code = spec.copy_dir
        _check_code(spec)
        log.step(ImageState.DONE)
        here = {path: path for path in spec.path_map}
        if code is not None:
            here[code] = code
        return BuiltImage(
            reference="",
            shell=_shell(spec),
            workdir=str(Path.home()) if code is None else code,
            path_map=here or {"/": "/"},
        )


def _check_code(spec: ImageSpec) -> None:
    if spec.copy_dir is not None and not Path(spec.copy_dir).is_dir():
        raise ImageError(f"image {spec.name!r}: copy_dir {spec.copy_dir!r} is not a directory")


def _shell(spec: ImageSpec) -> str:
    if spec.shell != AUTO_SHELL:
        return spec.shell
    for name in _SHELLS:
        found = shutil.which(name)
        if found is not None:
            return found
    raise ImageError(f"image {spec.name!r}: this host has none of {', '.join(_SHELLS)}")


def open_engines(home: StateDir, env: Mapping[str, str] | None = None) -> dict[str, EngineContext]:
    """Return ``{engine name: kit}``, not connected yet.

    Args:
        env: Environment with ``DOCKER_HOST``; None for the process's own.
    """
    pipes = home.agent / "pipes"
    shutil.rmtree(pipes, ignore_errors=True)  # of an agent that was killed
    docker = DockerEngine(env, pipes=pipes)
    mark = installation_id(home)
    labels = {LABEL_PROFILE: home.profile, LABEL_IMAGE_HOME: mark}
    started = {LABEL_HOME: mark}
    table = LimitTable()
    return {
        "docker": EngineContext(
            docker,
            started,
            lambda: Builder(
                docker.http, home.cache, labels=labels, work_labels=started, arch=docker.arch
            ),
            _note_in(home),
            table=table,
        ),
        "process": EngineContext(ProcessEngine(), started, NullImageBuilder, table=table),
    }


def _note_in(home: StateDir) -> Callable[[bool], None]:
    """Return a function that records for the next launch whether the engine could be opened."""
    files = AgentFiles(home.agent)

    def record_failure(failed: bool) -> None:
        with suppress(OSError):  # disk full: the next launch uses the agent as it is
            files.note_engine(failed=failed)

    return record_failure
