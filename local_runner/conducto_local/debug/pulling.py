"""The image of a shell whose pipeline runs elsewhere: this engine may not have it."""

import asyncio
import shutil
import sys
from http import HTTPStatus
from urllib.parse import quote

from conducto.model.debug import DebugPlan
from conducto_local.debug.errors import DebugError
from conducto_local.engine.http import ApiError, HttpClient


async def ensure_image(http: HttpClient, plan: DebugPlan) -> None:
    """Pull the image of a shell unless the engine has it; its progress goes to stderr.

    By the ``docker`` command, which knows how a person logs in to registries.

    Raises:
        DebugError: it cannot be had.
    """
    if not plan.pull or await _is_there(http, plan.image):
        return
    client = shutil.which("docker")
    if client is None:
        raise DebugError(
            f"{plan.path}: this engine does not have {plan.image}, and there is no 'docker' "
            "command to pull it with; install it, or pull the image by other means"
        )
    pull = await asyncio.create_subprocess_exec(
        client, "pull", plan.image, stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr.fileno()
    )
    try:
        code = await pull.wait()
    finally:
        if pull.returncode is None:
            pull.terminate()
            await pull.wait()
    if code != 0:
        raise DebugError(
            f"{plan.path}: {plan.image} cannot be pulled; log in to its registry (for one of AWS: "
            "aws ecr get-login-password | docker login --username AWS --password-stdin REGISTRY)"
        )


async def _is_there(http: HttpClient, image: str) -> bool:
    try:
        await http.call("GET", f"/images/{quote(image, safe='/:@')}/json")
    except ApiError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return False
        raise
    return True
