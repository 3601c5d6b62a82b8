"""Text helpers under the name that older pipelines import."""

from conducto.tree.text import unindent

__all__ = ["unindent"]
