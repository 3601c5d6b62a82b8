"""A plan to change in tests."""

from typing import Any

from pydantic import SecretStr

from conducto_core.debug.model import DebugMount, DebugPlan

SECRET = "not-to-be-seen"


def plan(**changes: Any) -> DebugPlan:
    given = {
        "pipeline": "abc-def",
        "path": "/build",
        "attempt": 1,
        "image": "conducto_extended:12",
        "shell": "/bin/bash",
        "script": "#!/bin/bash\nmake\n",
        "env": {"A": "1"},
        "secrets": {"TOKEN": SecretStr(SECRET)},
        "cpu": 0.5,
        "mem": 0.25,
        "data": (DebugMount(source="/host/data", target="/conducto/data/user"),),
        "network": "conducto_network_abc-def",
        "labels": {"com.conducto.debug": "abc-def"},
        "folder": "/nowhere",
        **changes,
    }
    return DebugPlan(**given)
