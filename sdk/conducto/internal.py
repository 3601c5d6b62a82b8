"""Checks of a tree under the name that older pipelines import."""

from conducto.tree.validate import validate as validate_tree

__all__ = ["validate_tree"]
