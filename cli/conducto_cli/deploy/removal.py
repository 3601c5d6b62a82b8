"""Steps of a removal: stacks without data are deleted, the others stay and are listed."""

from collections.abc import Callable, Iterator

from conducto_cli.confirmation import Ask
from conducto_cli.deploy.checks import NO_REGION, NO_REGION_REMEDY
from conducto_cli.deploy.deployment import DeployError
from conducto_cli.deploy.ports import Account, AccountError
from conducto_core.model.deployment import (
    STACKS,
    cluster_name,
    made_prefix,
    registry_prefix,
    secret_prefix,
    stack_name,
    table_name,
)

#: Stacks that stay: a table, a bucket, files, and the network that reaches these.
KEPT = ("network", "data")
REMOVED = tuple(name for name in STACKS if name not in KEPT)


def remove(
    account: Account, ask: Ask, say: Callable[[str], None], stage: str, *, stop_workers: bool
) -> None:
    """Remove the stacks without data from an account; list the rest.

    Args:
        account: Where the installation is.
        ask: Asks the person.
        say: Tells the person a line.
        stage: Which installation.
        stop_workers: Also when workers run.

    Raises:
        DeployError: there is nothing, workers run, or the person changed their mind.
        AccountError: no region is configured, or AWS refuses something.
    """
    if account.region is None:
        raise AccountError(NO_REGION, NO_REGION_REMEDY)
    there = [n for n in STACKS if account.stack_status(stack_name(stage, n)) is not None]
    going = [name for name in REMOVED if name in there]
    if not there:
        raise DeployError(f"stage {stage!r} is not deployed in {account.region}")
    cluster = cluster_name(stage)
    tasks = account.running_tasks(cluster)
    if tasks and not stop_workers:
        raise DeployError(
            f"{len(tasks)} workers run in {cluster}; pause their pipelines and wait, or say "
            "--stop-workers"
        )
    if going:
        names = ", ".join(stack_name(stage, name) for name in going)
        if not ask(f"Remove {names} and images? Records, output, files, secrets stay."):
            raise DeployError("nothing was removed")
    for task in tasks:
        account.stop_task(cluster, task)
    for name in reversed(going):
        say(f"removing {stack_name(stage, name)}")
        account.delete_stack(stack_name(stage, name))
    # Made while pipelines ran; images can be rebuilt, and caches fetched again.
    count = account.delete_repositories(registry_prefix(stage))
    if count:
        say(f"removed {count} repositories of images")
    for line in what_stays(stage):
        say(line)


def what_stays(stage: str) -> Iterator[str]:
    """Yield lines about the remaining data and how to delete it."""
    data, network = (stack_name(stage, name) for name in ("data", "network"))
    yield ""
    yield "These stay, and 'conducto deploy' finds them again:"
    yield f"  {data:<24} table {table_name(stage)}, a bucket, a file system with its backups"
    yield f"  {network:<24} the network; without cost while nothing runs in it"
    yield f"  {secret_prefix(stage) + '*':<24} secrets, $0.40 a month each"
    made = f"{made_prefix(stage)}*"
    yield f"  {made:<24} state machines, activities and task definitions, without cost"
    yield "To delete the data for good, which nothing brings back, see 'Removing' in docs/cloud.md."
