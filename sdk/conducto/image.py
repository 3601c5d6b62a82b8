"""Images under the name that pipelines import."""

from conducto.tree.image import Image, relpath

__all__ = ["Image", "relpath"]
