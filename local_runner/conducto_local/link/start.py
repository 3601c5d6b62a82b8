"""The start of a link: its modules are imported only if the profile is linked.

Most agents are not linked, and an import of the link takes a tenth of the start of an agent.
"""

import asyncio
import os
from pathlib import Path

from conducto.api import paths
from conducto_core.api.dispatch import Service
from conducto_core.api.pipelines import Pipelines
from conducto_local.state_dir import StateDir

#: Seconds between two looks at the configuration.
_SECONDS = 2.0
_SECTION = "[link]"


async def keep_linked(
    home: StateDir, service: Service, pipelines: Pipelines, seconds: float = _SECONDS
) -> None:
    """Wait until the profile is linked, then keep its link open, until cancelled.

    Args:
        home: State directory of the profile.
        service: The agent's API.
        pipelines: Its pipelines.
        seconds: Between two looks.
    """
    config = Path(paths.profile_dir(home.profile)) / "config"
    seen: int | None = None
    while True:
        changed = _changed_at(config)
        if changed != seen and _has_section(config):
            break
        seen = changed
        await asyncio.sleep(seconds)
    from conducto_local.link.files import LinkFiles  # noqa: PLC0415  see above
    from conducto_local.link.link import Link  # noqa: PLC0415

    await Link(home.profile, service, pipelines, LinkFiles(home.agent)).run()


def is_linked(home: StateDir) -> bool:
    """Return whether a profile has a section ``[link]``, valid or not."""
    return _has_section(Path(paths.profile_dir(home.profile)) / "config")


def _changed_at(path: Path) -> int | None:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116  called every two seconds
    except OSError:
        return None


def _has_section(path: Path) -> bool:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.strip() == _SECTION for line in lines)
