"""Debug shells in the table: one item each, listed in an index until it has ended."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import REFUSED, DynamoTable, Item, Update
from chalicelib.errors import ConflictError, PlanLimitError
from chalicelib.people.store.organisations import TableOrgs
from chalicelib.workers.port import Shell
from conducto_core.installation.names import OPEN

#: Seconds for which an ended shell is kept.
REMEMBERED_SECONDS = 7 * 86_400
#: Partition of the index.
_SHELLS = "shells"
_GOES_ON = "attribute_exists(org) AND attribute_not_exists(ended)"


class TableShells:
    """Debug shells; each counts as, and reserves, one worker of its organisation until it ends.

    `open` and `end` raise `ThrottledError` if they must be retried.
    """

    def __init__(self, table: DynamoTable, orgs: TableOrgs, clock: Callable[[], float]) -> None:
        self._table = table
        self._orgs = orgs
        self._clock = clock

    def open(self, shell: Shell) -> None:
        """Store and count a new shell in one transaction.

        Raises:
            PlanLimitError: The plan does not allow another worker.
        """
        more, wait = self._orgs.reservation(shell.org, 1, 1, admits=True)
        put = self._table.put_operation(_key(shell), _item(shell), new=True)
        reasons = self._table.try_transact([put, self._table.update_operation(more)])
        if reasons:
            raise PlanLimitError(wait) if reasons[1] == REFUSED else ConflictError(shell.id)

    def find(self, pipeline_id: str, shell_id: str) -> Shell | None:
        """Return a shell; ended ones are kept for some days."""
        item = self._table.get(table_keys.shell(pipeline_id, shell_id))
        return None if item is None else _shell(item)

    def of_pipeline(self, pipeline_id: str) -> Sequence[Shell]:
        """Return a pipeline's shells that have not ended."""
        partition = table_keys.shell(pipeline_id, "").partition
        found = (_shell(item) for _, item in self._table.range(partition, "!", table_keys.LAST))
        return [shell for shell in found if shell.ended is None]

    def all_open(self) -> Iterator[tuple[str, str]]:
        """Yield ``(pipeline id, shell id)`` of all shells that have not ended."""
        for _, item in self._table.index(OPEN, _SHELLS):
            pipeline_id, _, shell_id = str(item[OPEN.sort_key]).partition("#")
            yield pipeline_id, shell_id

    def started(self, shell: Shell, task_arn: str) -> None:
        """Record a shell's task, unless the shell has ended."""
        self._index_item(shell, {"task": task_arn})

    def bind(self, shell: Shell, key: str) -> bool:
        """Record the digest of the key of its agent; return False if it has another one."""
        where = f"({_GOES_ON}) AND (attribute_not_exists(agent_key) OR agent_key = :agent_key)"
        return self._table.update_if(Update(_key(shell), set={"agent_key": key}, where=where))

    def is_up(self, shell: Shell) -> None:
        """Record that a shell accepts connections, unless it has ended."""
        self._index_item(shell, {"up": 1})

    def give(self, shell: Shell, command: str) -> None:
        """Record a single command, without the result of an earlier one, unless it has ended."""
        self._index_item(shell, {"command": command, "result": ""})

    def report(self, shell: Shell, result: str) -> None:
        """Record the result of a single command, unless the shell has ended."""
        self._index_item(shell, {"result": result})

    def _index_item(self, shell: Shell, facts: Item) -> None:
        self._table.update_if(Update(_key(shell), set=facts, where=_GOES_ON))

    def end(self, shell: Shell, reason: str) -> bool:
        """Record and uncount the end of a shell; return False if it had already ended."""
        fewer, _ = self._orgs.reservation(shell.org, -1, -shell.reserved)
        over = Update(
            _key(shell),
            set={"ended": reason, "expires": int(self._clock()) + REMEMBERED_SECONDS},
            remove=(OPEN.partition_key, OPEN.sort_key, "command", "result"),
            where=_GOES_ON,
        )
        operations = [self._table.update_operation(each) for each in (over, fewer)]
        return not self._table.try_transact(operations)


def _key(shell: Shell) -> table_keys.Key:
    return table_keys.shell(shell.pipeline_id, shell.id)


def _item(shell: Shell) -> Item:
    listed = {
        OPEN.partition_key: _SHELLS,
        OPEN.sort_key: f"{shell.pipeline_id}#{shell.id}",
    }
    attempt = {} if shell.attempt is None else {"attempt": shell.attempt}
    return {
        "id": shell.id,
        "org": shell.org,
        "pipeline": shell.pipeline_id,
        "user": shell.user,
        "path": shell.path,
        "cpu": shell.cpu,
        "mem": shell.mem,
        "opened": shell.opened,
        "until": shell.until,
        "reserved": shell.reserved,
        "runs": shell.runs,
        "machine": shell.machine,
        "gpu": shell.gpu,
        **attempt,
        **listed,
    }


def _shell(item: Item) -> Shell:
    return Shell(
        id=str(item["id"]),
        org=str(item["org"]),
        pipeline_id=str(item["pipeline"]),
        user=str(item["user"]),
        path=str(item["path"]),
        attempt=int(item["attempt"]) if "attempt" in item else None,
        cpu=float(item["cpu"]),
        mem=float(item["mem"]),
        opened=float(item["opened"]),
        until=float(item["until"]),
        task=str(item["task"]) if "task" in item else None,
        up="up" in item,
        ended=str(item["ended"]) if "ended" in item else None,
        reserved=int(item.get("reserved", 0)),
        key=str(item["agent_key"]) if "agent_key" in item else None,
        runs=_runs(item.get("runs")),
        machine=str(item.get("machine", "")),
        gpu=int(item.get("gpu", 0)),
        command=str(item.get("command", "")),
        result=str(item.get("result", "")),
    )


def _runs(stored: object) -> Literal["", "plain", "secrets"]:
    return stored if stored in ("plain", "secrets") else ""
