"""Other services: Git hosts and Slack (``co.integrations``)."""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conducto.integrations import git, slack

__all__ = ["git", "slack"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return importlib.import_module(f"conducto.integrations.{name}")
    raise AttributeError(f"module 'conducto.integrations' has no attribute {name!r}")
