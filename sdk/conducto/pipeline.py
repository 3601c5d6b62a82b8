"""The nodes under the name that older pipelines import."""

from conducto.errors import TreeError
from conducto.tree.nodes import Exec, Node, Notebook, Parallel, Serial
from conducto.tree.parameters import Params

__all__ = ["Exec", "Node", "Notebook", "Parallel", "Params", "Serial", "TreeError"]
