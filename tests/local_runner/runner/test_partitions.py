"""States of partitions on a machine, on each engine."""

from __future__ import annotations

import pytest

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.partitions.model import PartitionsParams, ProgramPartitions
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import Action
from support.containers import BUSYBOX
from support.local import Local
from support.partitions import with_partition

pytestmark = pytest.mark.asyncio(loop_scope="module")


def tree(**commands: str) -> co.Serial:
    root = co.Serial(image=BUSYBOX)
    for name, command in commands.items():
        root[name] = co.Exec(command)
    return root


async def states(local: Local, program: str) -> ProgramPartitions:
    query = PartitionsParams(program=program, function="nightly")
    return await local.pipelines.list_partitions(query)


def letters(found: ProgramPartitions) -> dict[str, str]:
    return {
        key: state + "".join(step.states[place] for step in found.steps)
        for place, (key, state) in enumerate(zip(found.keys, found.states, strict=True))
        if state != "m"
    }


async def test_single_partition_and_backfill_have_states(local: Local, tmp_path: object) -> None:
    program = f"{tmp_path}/p.py"
    one = with_partition(to_launch_form(tree(load="true", check="true")), "2020-01-01")
    single = await local.run(one, program=program)
    root = co.Parallel()
    root["2020-01-02"] = tree(load="true", check="true")
    root["2020-01-03"] = tree(load="false", check="true")
    many = with_partition(to_launch_form(root), None, ["2020-01-02", "2020-01-03"])
    backfill = await local.run(many, program=program)

    found = await states(local, program)

    assert letters(found) == {"2020-01-01": "ddd", "2020-01-02": "ddd", "2020-01-03": "ffp"}
    assert [(p.pipeline, p.parent) for p in found.places] == [(single.id, None), (backfill.id, "/")]
    assert found.pipeline == backfill.id
    record = (await local.pipelines.get_pipeline(PipelineParams(id=backfill.id))).pipeline
    assert (record.partition, record.backfill) == (None, 2)


async def test_rerun_of_a_failed_child_changes_the_state(local: Local, tmp_path: object) -> None:
    program, mark = f"{tmp_path}/p.py", "${CONDUCTO_DATA_PIPELINE:-/conducto/data/pipeline}/mark"
    root = co.Parallel()
    root["2020-01-02"] = tree(load=f"test -e {mark} || {{ touch {mark}; false; }}")
    run = await local.run(
        with_partition(to_launch_form(root), None, ["2020-01-02"]), program=program
    )
    assert letters(await states(local, program)) == {"2020-01-02": "ff"}

    await run.control(Action.RERUN, "/2020-01-02/load")
    await run.settled()

    assert letters(await states(local, program)) == {"2020-01-02": "dd"}


async def test_states_outlive_their_pipelines(local: Local, tmp_path: object) -> None:
    program = f"{tmp_path}/p.py"
    run = await local.run(
        with_partition(to_launch_form(tree(load="true")), "2020-01-01"), program=program
    )

    await local.pipelines.delete_pipeline(PipelineParams(id=run.id))

    assert letters(await states(local, program)) == {"2020-01-01": "dd"}


async def test_partitions_of_a_lazy_part_run_before_they_are_in_the_tree(
    local: Local, tmp_path: object
) -> None:
    program = f"{tmp_path}/p.py"
    root = co.Parallel(image=BUSYBOX)
    root["2020-01-01..2020-01-02"] = co.Lazy("sleep 1000")
    form = with_partition(to_launch_form(root), None, ["2020-01-01", "2020-01-02"])
    run = await local.launch(form, program=program)

    assert letters(await states(local, program)) == {"2020-01-01": "r", "2020-01-02": "r"}

    await run.control(Action.CANCEL)
    await run.settled()
    assert letters(await states(local, program)) == {}
