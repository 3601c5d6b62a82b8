"""Routes are found by method and path, and the document describes every operation."""

import difflib
import errno
import re

import pytest

from conducto_core.api.cloud_operations import CLOUD_OPERATIONS
from conducto_core.api.common_operations import OPERATIONS
from conducto_core.api.dispatch import RouteTable
from conducto_core.api.openapi import openapi_document
from conducto_core.api.operation import AnyOperation
from conducto_core.api.problems import ProblemError, ProblemRule, problem_of
from conducto_core.children.operations import CHILD_OPERATIONS
from conducto_core.errors import NotFoundError
from conducto_core.logs.operations import LOG
from conducto_core.people.operations import ORGANISATION_OPERATIONS
from conducto_core.remote.operations import AGENT_OPERATIONS
from conducto_core.run.operations import AGENT_STATUS
from conducto_core.workers.operations import WORKER_OPERATIONS
from support.golden import FILES, REMEDY, read

ALL = [
    *OPERATIONS,
    *AGENT_OPERATIONS,
    *CLOUD_OPERATIONS,
    *ORGANISATION_OPERATIONS,
    *CHILD_OPERATIONS,
    *WORKER_OPERATIONS,
]


@pytest.mark.parametrize("operation", ALL, ids=lambda o: o.name)
def test_names_in_braces_are_parameters(operation: AnyOperation) -> None:
    in_braces = set(re.findall(r"{(\w+)}", operation.path))

    assert in_braces <= set(operation.params.model_fields)


def test_an_encoded_slash_is_part_of_a_value() -> None:
    match = RouteTable(OPERATIONS).find("GET", "/api/v1/pipelines/a%2Fb%20c/log")

    assert match.operation is LOG
    assert match.params == {"id": "a/b c"}


@pytest.mark.parametrize(
    "path", ["", "/", "/api/v1", "/api/v1/pipelines/", "/api/v2/agent", "/api/v1/agent/"]
)
def test_path_similar_to_a_route_is_not_found(path: str) -> None:
    with pytest.raises(ProblemError) as caught:
        RouteTable([AGENT_STATUS]).find("GET", path)

    assert caught.value.problem.status == 404


def test_an_error_that_knows_its_node_and_remedy_says_them() -> None:
    class LostError(NotFoundError):
        remedy = "look elsewhere"

    problem = problem_of(LostError("/a: lost", "/a"))

    assert (problem.path, problem.remedy, problem.detail) == ("/a", "look elsewhere", "/a: lost")


def test_a_server_adds_rules_of_its_own() -> None:
    problem = problem_of(OSError("full"), [ProblemRule(OSError, 507, "disk full")])

    assert (problem.status, problem.title) == (507, "disk full")


def test_rule_for_error_numbers_matches_no_other_errors() -> None:
    rules = [ProblemRule(OSError, 507, "disk full", numbers=frozenset({errno.ENOSPC}))]

    assert problem_of(OSError(errno.ENOSPC, "No space left on device"), rules).status == 507
    assert problem_of(OSError(errno.EACCES, "Permission denied"), rules).status == 500


def test_the_document_describes_every_operation() -> None:
    document = openapi_document()

    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    plain = [operation for operation in OPERATIONS if not operation.is_stream]
    assert described == {(o.method, o.path) for o in plain}
    assert set(document["x-streams"]) == {"/pipelines/{id}/events", "/shell"}


def test_the_document_says_where_each_parameter_goes() -> None:
    log = openapi_document()["paths"]["/pipelines/{id}/log"]["get"]

    where = {p["name"]: (p["in"], p["required"]) for p in log["parameters"]}

    assert where["id"] == ("path", True)
    assert where["path"] == ("query", True)
    assert where["offset"] == ("query", False)


def test_document_equals_the_agreed_one() -> None:
    """The web app's types are made of it."""
    agreed, now = read("openapi.json"), FILES["openapi.json"]()

    changed = difflib.unified_diff(agreed.splitlines(), now.splitlines(), lineterm="", n=6)

    assert agreed == now, "\n".join([REMEDY, *changed])


def test_every_reference_in_the_document_leads_somewhere() -> None:
    document = openapi_document()

    references = set(re.findall(r"#/components/schemas/([\w-]+)", str(document)))

    assert references
    assert references <= set(document["components"]["schemas"])
