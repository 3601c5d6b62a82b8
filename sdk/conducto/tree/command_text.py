"""Commands with tokens of local paths expanded for their container."""

# ruff: noqa: PLC0415, PTH109, SLF001
# Imports wait until they are needed; pathlib is heavy; the modules of the tree share its slots.

from __future__ import annotations

from conducto.errors import DefinitionError
from conducto.tree.image_form import resolved_form
from conducto.tree.node_base import NodeBase
from conducto.tree.wire_records import command_text
from conducto.wire import paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from conducto.tree.image import Image
    from conducto.tree.node_base import NodeBase


def missing_code(node: NodeBase, form: Dict[str, Any], path: str) -> DefinitionError:
    """Return the error for a command that names a local file its image does not contain."""
    if node._unfindable is not None:
        return DefinitionError(
            f"{node}: {node._unfindable}", path=str(node), file=node.file, line=node.line
        )
    base = f'"{form["image"]}"' if form.get("image") else "..."
    return DefinitionError(
        f"Node references local code that is not in its image. Node: {node}\n"
        f"The image does not contain {path}; give the node or a parent an image with the code: "
        f'image=co.Image({base}, copy_dir="."), with copy_repo=True for the Git repository, or '
        "with a path_map",
        path=str(node),
        file=node.file,
        line=node.line,
    )


class Expander:
    """Expands commands for the shell in their container.

    Args:
        strict: Raise an error for a local file that the image does not contain, instead of using
            its path on this machine.
    """

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._forms: Dict[int, Dict[str, Any]] = {}

    def _form(self, image: Optional[Image]) -> Dict[str, Any]:
        if image is None:
            return {"path_map": None, "docker_auto_workdir": True}
        if id(image) not in self._forms:
            self._forms[id(image)] = resolved_form(image)
        return self._forms[id(image)]

    def command(self, node: NodeBase) -> str:
        """Return the command of ``node``.

        Raises:
            DefinitionError: strict, and the image does not contain a file that it names.
        """
        command = command_text(node)
        if paths.END not in command:
            return command
        image = node.image
        form = self._form(image)

        def missing(path: str) -> str:
            if self._strict:
                raise missing_code(node, form, path)
            import os

            here = os.getcwd()
            return os.path.relpath(path, here) if paths.inside(path, here) else path

        copied = form.get("copy_dir") is not None or form.get("copy_url") is not None
        path_map = {paths.to_host(k): v for k, v in (form["path_map"] or {}).items()}
        shorten = bool(form["docker_auto_workdir"]) and copied
        return paths.expand(command, path_map, shorten=shorten, missing=missing)
