"""The nodes under the name that older pipelines import."""

from conducto.tree.errors import TreeError
from conducto.tree.node import Node
from conducto.tree.nodes import Exec, Notebook, Parallel, Serial
from conducto.tree.parameters import Params

__all__ = ["Exec", "Node", "Notebook", "Parallel", "Params", "Serial", "TreeError"]
