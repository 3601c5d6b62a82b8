"""The way of a task, with containers that a test ends."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import pytest

from conducto_emulator.faults.capacity import FAILED_STARTS, INTERRUPTED, REFUSALS, Scarcity
from conducto_emulator.faults.latency import Dice
from conducto_emulator.tasks.tasks import Task, TaskBoard
from support.cloud import start_failures

DEFINITION = {
    "taskDefinitionArn": "arn:aws:ecs:us-east-1:1:task-definition/family:1",
    "containerDefinitions": [
        {"name": "agent", "image": "a", "stopTimeout": 0},
        {"name": "user", "image": "u", "stopTimeout": 0},
        {"name": "aside", "image": "x", "essential": False, "stopTimeout": 0},
    ],
    "volumes": [],
    "cpu": "256",
    "memory": "512",
}
PREFIX = "arn:aws:ecs:us-east-1:1:task/c"


class FakeContainers:
    def __init__(self) -> None:
        self.codes: dict[str, tuple[int, str | None]] = {}
        self.signals: list[tuple[str, str]] = []
        self.removed = 0
        self.failure: Exception | None = None

    def start(self, task: Task) -> None:
        if self.failure is not None:
            raise self.failure

    def ended(self, task: Task, name: str) -> tuple[int, str | None] | None:
        return self.codes.get(name)

    def signal(self, task: Task, name: str, signal: str) -> None:
        self.signals.append((name, signal))
        if signal == "SIGKILL" or name == "agent":
            self.codes[name] = (137 if signal == "SIGKILL" else 0, None)

    def remove(self, task: Task) -> None:
        self.removed += 1


class Room:
    def __init__(self) -> None:
        self.containers = FakeContainers()
        self.changed = threading.Condition()
        self.told: list[dict[str, Any]] = []
        self.board = TaskBoard(self.containers, self.note)

    def note(self, task: dict[str, Any]) -> None:
        with self.changed:
            self.told.append(task)
            self.changed.notify_all()

    def run(self, **order: Any) -> str:
        tasks, failures = self.board.run(PREFIX, DEFINITION, {"clusterArn": "c", **order})
        assert not failures
        return tasks[0].arn

    def until(self, status: str) -> dict[str, Any]:
        with self.changed:
            there = self.changed.wait_for(
                lambda: any(each["lastStatus"] == status for each in self.told), 10
            )
            assert there, [each["lastStatus"] for each in self.told]
            return next(each for each in self.told if each["lastStatus"] == status)


@pytest.fixture
def room() -> Room:
    return Room()


def test_every_status_change_is_reported(room: Room) -> None:
    room.run()
    room.until("RUNNING")

    room.containers.codes["user"] = (3, "OutOfMemoryError: x")
    stopped = room.until("STOPPED")

    assert [each["lastStatus"] for each in room.told] == [
        "PROVISIONING",
        "PENDING",
        "RUNNING",
        "DEACTIVATING",
        "STOPPED",
    ]
    assert stopped["stopCode"] == "EssentialContainerExited"
    told = {each["name"]: each for each in stopped["containers"]}
    assert (told["user"]["exitCode"], told["user"]["reason"]) == (3, "OutOfMemoryError: x")
    assert room.containers.removed == 1


def test_non_essential_container_may_end(room: Room) -> None:
    room.run()
    room.until("RUNNING")

    room.containers.codes["aside"] = (0, None)
    room.containers.codes["agent"] = (0, None)
    stopped = room.until("STOPPED")

    assert {each["name"]: each["exitCode"] for each in stopped["containers"]}["aside"] == 0


def test_stop_terminates_all_containers_and_kills_the_rest(room: Room) -> None:
    arn = room.run()
    room.until("RUNNING")

    room.board.stop(arn, "because")
    stopped = room.until("STOPPED")

    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "because")
    assert room.containers.signals[:3] == [
        ("agent", "SIGTERM"),
        ("user", "SIGTERM"),
        ("aside", "SIGTERM"),
    ]
    assert ("user", "SIGKILL") in room.containers.signals
    assert ("agent", "SIGKILL") not in room.containers.signals


def test_a_task_that_cannot_start_says_why(room: Room) -> None:
    room.containers.failure = RuntimeError("no such image")

    room.run()
    stopped = room.until("STOPPED")

    assert (stopped["stopCode"], stopped["stoppedReason"]) == (
        "TaskFailedToStart",
        "no such image",
    )


def test_a_client_token_starts_one_task(room: Room) -> None:
    assert room.run(clientToken="w") == room.run(clientToken="w")
    assert room.run() != room.run()


@pytest.mark.parametrize(
    ("failure", "code", "said"),
    [
        (start_failures.image_not_found("u"), "TaskFailedToStart", "CannotPullContainerError"),
        (start_failures.mount_failed(), "TaskFailedToStart", "ResourceInitializationError"),
        (start_failures.wrong_architecture(), "TaskFailedToStart", "linux/amd64"),
        (start_failures.cannot_execute(), "EssentialContainerExited", "Essential container"),
        (start_failures.essential_exited(1), "EssentialContainerExited", "Essential container"),
    ],
)
def test_planned_failure_ends_the_next_task_in_the_words_of_ecs(
    room: Room, failure: start_failures.TaskStartFailure, code: str, said: str
) -> None:
    room.board.knobs.fails = start_failures.next_task(failure, "u")

    room.run()
    stopped = room.until("STOPPED")
    room.told.clear()
    room.run()
    room.until("RUNNING")

    assert stopped["stopCode"] == code
    assert said in stopped["stoppedReason"]
    user = next(each for each in stopped["containers"] if each["name"] == "user")
    assert user.get("exitCode") == failure.exit_code
    assert user.get("reason") == failure.reason


def test_planned_failure_is_for_its_image_alone(room: Room) -> None:
    room.board.knobs.fails = start_failures.next_task(start_failures.mount_failed(), "v")

    room.run()
    room.until("RUNNING")

    assert "STOPPED" not in [each["lastStatus"] for each in room.told]


def test_quota_of_vcpus_is_a_failure_until_a_task_ends(room: Room) -> None:
    room.board.max_vcpus = 0.5  # two tasks of 256 units
    first = room.run()
    room.run()
    room.until("RUNNING")

    tasks, failures = room.board.run(PREFIX, DEFINITION, {"clusterArn": "c"})
    room.board.stop(first, "enough")
    room.until("STOPPED")

    assert not tasks
    assert "limit on the number of vCPUs" in failures[0]["reason"]
    assert room.run()


def test_events_have_times_as_text_and_descriptions_have_numbers(room: Room) -> None:
    arn = room.run()
    room.until("RUNNING")
    room.board.stop(arn, "enough")
    stopped = room.until("STOPPED")

    task = room.board.find(arn)
    assert task is not None
    described = task.describe()
    for name in ("createdAt", "startedAt", "stoppedAt"):
        at = datetime.fromisoformat(stopped[name]).timestamp()
        assert abs(at - described[name]) < 0.001
        assert stopped[name].endswith("Z")
    assert "startedAt" not in room.told[0]


def test_events_of_a_task_have_rising_versions(room: Room) -> None:
    arn = room.run()
    room.until("RUNNING")
    room.board.stop(arn, "enough")
    room.until("STOPPED")

    versions = [each["version"] for each in room.told]
    assert versions == list(range(len(versions)))


def test_a_refusal_is_a_failure_and_no_task(room: Room) -> None:
    room.board.knobs.refusal = "Capacity is unavailable"

    tasks, failures = room.board.run(PREFIX, DEFINITION, {"clusterArn": "c"})

    assert (tasks, failures[0]["reason"]) == ([], "Capacity is unavailable")


def test_a_delay_can_be_cut_short_by_a_stop(room: Room) -> None:
    room.board.knobs.delay = 3600
    arn = room.run()

    room.board.stop(arn, "never mind")

    assert "startedAt" not in room.until("STOPPED")


def test_tasks_are_listed_by_started_by(room: Room) -> None:
    mine = room.run(startedBy="p1")
    room.run(startedBy="p2")
    room.until("RUNNING")

    assert [each.arn for each in room.board.list(started_by="p1", stopped=False)] == [mine]
    room.board.stop_all("the end", seconds=10)
    assert len(room.board.list(started_by=None, stopped=True)) == 2


GPU = {
    **DEFINITION,
    "requiresCompatibilities": ["MANAGED_INSTANCES"],
    "containerDefinitions": [
        {**each, "resourceRequirements": [{"type": "GPU", "value": "1"}]}
        for each in DEFINITION["containerDefinitions"]
    ],
}


@pytest.mark.parametrize(
    ("definition", "provider", "reason"),
    [
        (GPU, "FARGATE", "ATTRIBUTE: Fargate has no GPUs"),
        (GPU, "conducto-emulator_gpu_spot", "The specified capacity provider"),
        (DEFINITION, "conducto-emulator_gpu_ondemand", "ATTRIBUTE: ['FARGATE'] does not run on"),
        (GPU, "conducto-emulator_gpu_ondemand", None),
    ],
)
def test_a_provider_runs_only_tasks_that_are_defined_for_it(
    room: Room, definition: dict[str, Any], provider: str, reason: str | None
) -> None:
    room.board.providers = frozenset({"conducto-emulator_gpu_ondemand"})
    strategy = [{"capacityProvider": provider, "weight": 1}]

    order = {"clusterArn": "c", "capacityProviderStrategy": strategy}
    tasks, failures = room.board.run(PREFIX, definition, order)

    assert len(tasks) == (reason is None)
    assert reason is None or failures[0]["reason"].startswith(reason)


def test_a_task_without_a_machine_stays_in_provisioning_until_it_is_stopped(room: Room) -> None:
    room.board.knobs.hangs = lambda _task: True
    arn = room.run()
    room.until("PROVISIONING")

    room.board.stop(arn, "found no machine")

    stopped = room.until("STOPPED")
    assert [each["lastStatus"] for each in room.told] == ["PROVISIONING", "STOPPED"]
    assert "startedAt" not in stopped


def test_an_interrupted_spot_task_gets_a_signal_and_says_why(room: Room) -> None:
    arn = room.run(capacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT"}])
    room.until("RUNNING")

    room.board.interrupt(arn)

    stopped = room.until("STOPPED")
    assert stopped["stopCode"] == "SpotInterruption"
    assert stopped["stoppedReason"] == INTERRUPTED
    assert ("user", "SIGTERM") in room.containers.signals


def test_scarcity_is_the_same_for_a_seed() -> None:
    def faults(seed: int) -> list[object]:
        scarce = Scarcity(Dice(seed), 0.5)
        return [
            one()
            for _ in range(20)
            for one in (scarce.refusal, scarce.failed_start, scarce.hangs, scarce.notice)
        ]

    assert faults(1) == faults(1)
    assert faults(1) != faults(2)
    assert {each for each in faults(1) if isinstance(each, str)} <= {*REFUSALS, *FAILED_STARTS}


def test_a_scarce_board_refuses_with_a_code_of_aws(room: Room) -> None:
    room.board.scarcity = Scarcity(Dice(1), 1.0)

    tasks, failures = room.board.run(PREFIX, DEFINITION, {"clusterArn": "c"})

    assert tasks == []
    assert failures[0]["reason"] in REFUSALS
