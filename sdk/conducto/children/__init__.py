"""``co.launch`` in the command of a node with ``launch=True``.

The command has a token with which it may launch pipelines, its children, and read their states.
Standard library only: an image has nothing else.
"""

from conducto.children.pipeline import ChildPipeline, get_pipeline, launch

__all__ = ["ChildPipeline", "get_pipeline", "launch"]
