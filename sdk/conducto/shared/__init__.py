"""Names that pipelines written for older versions import from ``conducto.shared``."""

# ruff: noqa: PLC0415 - imports wait until they are needed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conducto.shared import constants, log

__all__ = ["constants", "log"]


def __getattr__(name: str) -> object:
    if name in __all__:
        import importlib

        return importlib.import_module("conducto.shared." + name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
