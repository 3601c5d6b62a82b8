"""The table of permissions in docs/concepts/security.md is that of the routes."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from conducto_core.api.cloud_operations import CLOUD_OPERATIONS
from conducto_core.installation.names import PERMISSIONS
from conducto_core.people.operations import ORGANISATION_OPERATIONS

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "security.md"
ROW = re.compile(r"^\| `(\w+)` \| ((?:`\w+` ?)+) \| (.+) \|$", re.MULTILINE)


def test_documented_operations_of_each_permission_are_those_of_the_routes() -> None:
    of_routes: dict[str, set[str]] = defaultdict(set)
    for operation in (*CLOUD_OPERATIONS, *ORGANISATION_OPERATIONS):
        of_routes[operation.permission.value].add(operation.name)
    assert of_routes.pop("sign_in") == {
        "start_session",
        "start_cli_login",
        "exchange_cli_code",
        "exchange_ci_token",
    }
    assert of_routes.pop("accept_invitation") == {"accept_invitation"}

    of_routes["metrics"] = {"prometheus"}  # text, so it is not an operation
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    documented = {name: set(re.findall(r"`(\w+)`", operations)) for name, operations, _ in rows}

    assert documented == dict(of_routes)
    assert tuple(documented) == PERMISSIONS
