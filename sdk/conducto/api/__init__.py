"""Configuration, and the services of a Conducto server (``co.api``).

Modules are imported when one of their names is first used, so that ``import conducto`` stays quick.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conducto.api.auth import Auth, Dir, get_auth_headers
    from conducto.api.calls import (
        InvalidResponse,
        NotAvailableError,
        UnauthorizedResponse,
        UserInputValidation,
        UserPathError,
        UserPermissionError,
        WindowsMapError,
        WSLMapError,
    )
    from conducto.api.config import Config
    from conducto.api.pipelines import (
        Analytics,
        Manager,
        Pipeline,
        connect_to_ns,
        connect_to_pipeline,
    )
    from conducto.api.secrets import Secret, SecretKey, Secrets

__all__ = [
    "Analytics",
    "Auth",
    "Config",
    "Dir",
    "InvalidResponse",
    "Manager",
    "NotAvailableError",
    "Pipeline",
    "Secret",
    "SecretKey",
    "Secrets",
    "UnauthorizedResponse",
    "UserInputValidation",
    "UserPathError",
    "UserPermissionError",
    "WSLMapError",
    "WindowsMapError",
    "connect_to_ns",
    "connect_to_pipeline",
    "get_auth_headers",
]

_HOMES = {
    "config": ["Config"],
    "calls": [name for name in __all__ if name.endswith(("Response", "Error", "Validation"))],
    "secrets": ["Secret", "SecretKey", "Secrets"],
    "auth": ["Auth", "Dir", "get_auth_headers"],
    "pipelines": ["Analytics", "Manager", "Pipeline", "connect_to_ns", "connect_to_pipeline"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_TWINS = ("Config", "Auth", "Dir", "Pipeline", "Manager", "Secrets", "Analytics")


def __getattr__(name: str) -> object:
    if name in _HOME_OF:
        value = getattr(importlib.import_module(f"conducto.api.{_HOME_OF[name]}"), name)
    elif name in {f"Async{twin}" for twin in _TWINS}:
        remote = importlib.import_module("conducto.api.calls")
        value = remote.threaded(__getattr__(name[len("Async") :]))
    else:
        raise AttributeError(f"module 'conducto.api' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *(f"Async{twin}" for twin in _TWINS)])
