"""Which engines there are, and the builders that go with them."""

from collections.abc import Callable, Mapping
from contextlib import suppress

from conducto_local.agent_files import AgentFiles
from conducto_local.engine.docker import DockerEngine
from conducto_local.engine.process import ProcessEngine
from conducto_local.home import Home
from conducto_local.identity import identity_of
from conducto_local.images.api import LABEL_IMAGE_HOME
from conducto_local.images.builder import Builder
from conducto_local.runner.flights import LABEL_HOME, LABEL_PROFILE
from conducto_local.runner.kit import Kit
from conducto_local.runner.no_images import NoImages


def open_kits(home: Home, env: Mapping[str, str] | None = None) -> dict[str, Kit]:
    """Return ``{engine name: kit}``; none is connected to yet.

    Args:
        home: The profile's directories.
        env: Where ``DOCKER_HOST`` is looked up; None is the process's own environment.
    """
    docker = DockerEngine(env)
    identity = identity_of(home)
    labels = {LABEL_PROFILE: home.profile, LABEL_IMAGE_HOME: identity.mark}
    started = [{LABEL_HOME: mark} for mark in identity.marks]
    return {
        "docker": Kit(
            docker,
            started,
            lambda: Builder(
                docker.http, home.agent / "cache", labels=labels, work_labels=started[0]
            ),
            _note_in(home),
        ),
        "process": Kit(ProcessEngine(), started, NoImages),
    }


def _note_in(home: Home) -> Callable[[bool], None]:
    """Return what notes that the engine could not be opened, for the next launch."""
    files = AgentFiles(home.agent)

    def note(failed: bool) -> None:
        with suppress(OSError):  # a full disk: the agent is used as it is
            files.note_engine(failed=failed)

    return note
