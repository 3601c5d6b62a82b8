"""The files of cached commands in a worker: see `conducto_core.cache.views`.

The view is a volume of the task, which the container ``user`` has in place of the pipeline's data;
it is emptied between commands. What a command wrote is copied to the pipeline's data only after its
success, so that a worker that ends in between publishes nothing, and its attempt is lost.
"""

import os
from pathlib import Path

from conducto.files import directory
from conducto_core.cache.views import CachedFiles, View
from conducto_core.command.task_layout import DATA_OF_AGENT, VIEW
from conducto_core.tree.model import Caching
from conducto_core.workers.model import FilesOfCommand

#: The image may run as any user.
_OPEN = 0o777


class Views:
    """The view of the running command.

    Args:
        root: The volume.
        data: The pipeline's data.
    """

    def __init__(self, root: Path = Path(VIEW), data: Path = Path(DATA_OF_AGENT)) -> None:
        self._root = root
        self._data = data
        self._files = CachedFiles(None, shared=True)

    def make(self, files: FilesOfCommand) -> View:
        """Replace the view by that of the next command; raises `OSError`."""
        with directory.Opened(str(self._root), ()) as top:
            for name in os.listdir(top):  # noqa: PTH208  an open directory
                directory.remove(name, top, recursive=True)
        self._root.chmod(_OPEN)
        cache = Caching(reads=files.reads, writes=files.writes, copies=files.copies)
        return self._files.view(self._root, self._data, cache)

    def publish(self, view: View) -> None:
        """Move the files that a successful command wrote to the data; raises `OSError`."""
        self._files.publish(view)
