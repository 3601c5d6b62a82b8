"""Constants under the name that older pipelines import."""

from conducto.tree.parameters import ContainerReuseContext, SameContainer

__all__ = ["ContainerReuseContext", "SameContainer"]
