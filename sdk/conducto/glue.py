"""The command line and Lazy under the name that older pipelines import."""

from conducto.errors import NodeMethodError
from conducto.main import main
from conducto.tree.lazy import Lazy, lazy_py, lazy_shell

__all__ = ["Lazy", "NodeMethodError", "lazy_py", "lazy_shell", "main"]
