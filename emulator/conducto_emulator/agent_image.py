"""The agent's image in the local engine, built unless it exists with this content."""

import io
from typing import Any

from docker.errors import BuildError, ImageNotFound  # type: ignore[import-untyped]

import docker  # type: ignore[import-untyped]
from conducto_worker import image

REPOSITORY = "conducto-agent"
_LOG_LINES = 20


class AgentImageError(Exception):
    """The agent's image cannot be built."""


def ensure(base: str | None = None) -> str:
    """Return the reference of the agent's image; build it if it is missing.

    Args:
        base: Base image; None for the default of the Dockerfile.

    Raises:
        AgentImageError: The build failed.
    """
    reference = f"{REPOSITORY}:{image.digest()}"
    engine: Any = docker.from_env()
    try:
        engine.images.get(reference)
    except ImageNotFound:
        _build(engine, reference, {} if base is None else {"BASE": base})
    return reference


def _build(engine: Any, reference: str, arguments: dict[str, str]) -> None:
    try:
        engine.images.build(
            fileobj=io.BytesIO(image.context()),
            custom_context=True,
            tag=reference,
            buildargs=arguments,
            labels={"com.conducto.emulator": "image"},
            rm=True,
        )
    except BuildError as error:
        lines = [str(line.get("stream", line.get("error", ""))) for line in error.build_log]
        log = "".join(lines).splitlines()[-_LOG_LINES:]
        raise AgentImageError("the agent's image cannot be built:\n" + "\n".join(log)) from error
