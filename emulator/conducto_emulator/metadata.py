"""Emulates the ECS task metadata endpoint, version 4."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from conducto_emulator.containers import DockerContainers
from conducto_emulator.tasks import Task, TaskBoard

METADATA_PATH = "/metadata"


class Metadata:
    """Serves the metadata of the tasks of a board."""

    def __init__(self, board: TaskBoard, containers: DockerContainers) -> None:
        self._board = board
        self._containers = containers

    def routes(self) -> list[Route]:
        """Return the routes of the endpoint."""
        return [
            Route(f"{METADATA_PATH}/{{task}}/task", self._task),
            Route(f"{METADATA_PATH}/{{task}}/task/stats", self._stats),
        ]

    def _find(self, request: Request) -> Task | None:
        return self._board.find(request.path_params["task"])

    async def _task(self, request: Request) -> Response:
        task = self._find(request)
        if task is None:
            return Response(status_code=404)
        ids = self._containers.ids(task).items()
        containers = [{"DockerId": identity, "Name": name} for name, identity in ids]
        return JSONResponse(
            {"TaskARN": task.arn, "KnownStatus": task.status, "Containers": containers}
        )

    async def _stats(self, request: Request) -> Response:
        task = self._find(request)
        if task is None:
            return Response(status_code=404)
        return JSONResponse(await run_in_threadpool(self._containers.stats, task))
