"""A running agent keeps to its OpenAPI document, whatever a client makes up from it."""

import asyncio
import os
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.strategies as st
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from conducto_core.api.openapi import openapi_document
from support.api_server import TOKEN
from support.fixtures import real

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
SETTINGS = hypothesis.settings(
    max_examples=int(os.environ.get("EXAMPLES", "20")),
    database=None,
    derandomize=True,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)
#: What a made-up request would hardly ever hit.
SENSIBLE = {
    "path": ["/", "/talk", "/group", "/group/bad"],
    "root": ["/", "/group"],
    "after": ["/talk", "/group/bad"],
    "name": ["a", "a/b", ""],
    "image": ["debian"],
}


def all_operations() -> list[Any]:
    document = openapi_document()
    document["servers"] = [{"url": "/api/v1"}]
    schema = schemathesis.openapi.from_dict(document)
    found = [operation.ok() for operation in schema.get_all_operations()]
    # The others need the pipeline.
    return sorted(found, key=lambda each: each.definition.raw["operationId"] == "delete_pipeline")


def test_a_running_agent_answers_as_its_document_says(tmp_path: Path) -> None:
    asyncio.run(_try_everything(tmp_path))


async def _try_everything(folder: Path) -> None:
    answered: Counter[str] = Counter()
    async with real(folder) as scene:
        pipeline = await scene.played(title="the one that is there")
        await scene.ask(lambda c: c.write_data(pipeline, "a/b", b"content"))
        for operation in all_operations():
            await asyncio.to_thread(_try, operation, scene.endpoint.url, pipeline, answered)
    # Otherwise it would prove little: many reads must also be requests for existing items.
    assert {"list_pipelines", "get_tree", "get_node", "get_definition", "list_data"} <= set(
        answered
    )


def _try(operation: Any, url: str, pipeline: str, answered: Counter[str]) -> None:
    @hypothesis.given(case=operation.as_strategy(), data=st.data())
    @SETTINGS
    def attempt(case: Any, data: st.DataObject) -> None:
        _make_sensible(case, data, pipeline)
        response = case.call(
            base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30
        )
        case.validate_response(response, checks=CHECKS)
        if response.status_code in (200, 206):
            answered[operation.definition.raw["operationId"]] += 1

    attempt()


def _make_sensible(case: Any, data: st.DataObject, pipeline: str) -> None:
    """Half of the time, replace the parameters of a request by existing ones; never let it wait.

    All of them are replaced at once: with several random parameters, hardly any request would be
    valid by chance.
    """
    query = case.query or {}
    query.pop("wait", None)
    if not data.draw(st.booleans()):
        return
    if case.path_parameters:
        case.path_parameters["id"] = pipeline
    for name in sorted(SENSIBLE.keys() & query.keys()):
        query[name] = data.draw(st.sampled_from(SENSIBLE[name]))
