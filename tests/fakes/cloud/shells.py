"""Debug shells in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tests.fakes.cloud.identity import FakeOrgs

from chalicelib.workers.port import Shell


class FakeShells:
    """A fake `chalicelib.workers.port.Shells`."""

    def __init__(self, orgs: FakeOrgs) -> None:
        self._orgs = orgs
        self._shells: dict[tuple[str, str], Shell] = {}

    def open(self, shell: Shell) -> None:
        self._orgs.count(shell.org, 1, shell.reserved, admits=True)
        self._shells[shell.pipeline_id, shell.id] = shell

    def find(self, pipeline_id: str, shell_id: str) -> Shell | None:
        return self._shells.get((pipeline_id, shell_id))

    def of_pipeline(self, pipeline_id: str) -> Sequence[Shell]:
        return [s for s in self._going_on() if s.pipeline_id == pipeline_id]

    def all_open(self) -> Iterator[tuple[str, str]]:
        for shell in self._going_on():
            yield shell.pipeline_id, shell.id

    def started(self, shell: Shell, task_arn: str) -> None:
        self._note(shell, task=task_arn)

    def bind(self, shell: Shell, key: str) -> bool:
        known = self._shells[shell.pipeline_id, shell.id]
        return known.key in (None, key) and self._note(shell, key=key)

    def is_up(self, shell: Shell) -> None:
        self._note(shell, up=True)

    def give(self, shell: Shell, command: str) -> None:
        self._note(shell, command=command, result="")

    def report(self, shell: Shell, result: str) -> None:
        self._note(shell, result=result)

    def end(self, shell: Shell, reason: str) -> bool:
        if not self._note(shell, ended=reason, command="", result=""):
            return False
        self._orgs.count(shell.org, -1, -shell.reserved)
        return True

    def _note(self, shell: Shell, **facts: object) -> bool:
        known = self._shells.get((shell.pipeline_id, shell.id))
        if known is None or known.ended is not None:
            return False
        self._shells[shell.pipeline_id, shell.id] = replace(known, **facts)  # type: ignore[arg-type]
        return True

    def _going_on(self) -> list[Shell]:
        return [shell for shell in self._shells.values() if shell.ended is None]
