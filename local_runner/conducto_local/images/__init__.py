"""Images on this machine: pulled, built, filled with code, prepared for workers."""

from conducto_local.images.builder import Builder

__all__ = ["Builder"]
