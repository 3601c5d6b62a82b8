"""The page of `conducto show ID PATH`: a node's attempts and its callbacks' notifications."""

from collections.abc import Mapping

from conducto_cli.run.node_detail import _lines
from conducto_cli.text.text import marks_for, text_of
from conducto_core.command.server import FORKED
from conducto_core.notifications.model import DeliveryState, NotificationRecord
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.requests import NodeView
from conducto_core.run.model.responses import NodeDetail, Variable
from conducto_core.run.model.states import NodeType, State

Attempts = tuple[AttemptRecord, ...]


def new_notifications(delivery: DeliveryState, error: str | None = None) -> NotificationRecord:
    return NotificationRecord(
        number=1,
        path="/a",
        about="/a",
        state=State.DONE,
        callback="email",
        delivery=delivery,
        error=error,
    )


def lines(
    *notifications: NotificationRecord,
    attempts: Attempts = (),
    used: Mapping[int, str] | None = None,
) -> list[str]:
    node = NodeView(
        path="/a",
        type=NodeType.EXEC,
        state=State.DONE,
        notifications=notifications,
        attempts=attempts,
    )
    detail = NodeDetail(node=node)
    return [text_of(line) for line in _lines(detail, marks_for("utf-8"), used or {})]


def test_node_page_shows_sent_and_failed_notifications() -> None:
    failed = new_notifications(DeliveryState.FAILED, "no mail server is known")

    assert lines(new_notifications(DeliveryState.SENT), failed)[-3:] == [
        "notifications",
        "  done  email  sent",
        "  done  email  failed  no mail server is known",
    ]


def test_long_variable_does_not_pad_the_others() -> None:
    env = (
        Variable(name="A", value="1", source="/"),
        Variable(name="LONG", value="x" * 900, source="/"),
        Variable(name="BC", value="22", source="/a"),
    )
    detail = NodeDetail(node=NodeView(path="/a", type=NodeType.EXEC, state=State.DONE), env=env)

    page = [text_of(line) for line in _lines(detail, marks_for("utf-8"), {})]

    at = page.index("environment")
    assert page[at + 1 :] == ["  A=1    (/)", f"  LONG={'x' * 900}  (/)", "  BC=22  (/a)"]


def test_node_page_without_notifications_omits_the_section() -> None:
    assert "notifications" not in lines()


def test_attempt_shows_its_wait_reason() -> None:
    times = {"queued": 1.0, "image_ready": 5.0, "admitted": 6.2, "started": 6.5, "ended": 9.5}
    fine = AttemptRecord(path="/a", number=1, state=State.DONE, **times)  # type: ignore[arg-type]
    old = AttemptRecord(path="/a", number=2, state=State.DONE, queued=1.0, started=2.0)
    brisk = AttemptRecord(path="/a", number=3, state=State.DONE, queued=1.0, started=1.01)

    found = lines(attempts=(fine, old, brisk))

    said = "waited 4.0s for its image, 1.2s for its turn, 0.3s for its container"
    assert [line.partition("waited")[2] for line in found[-3:]] == [said[6:], " 1.0s", ""]


def test_times_that_go_back_as_when_a_clock_was_set_make_no_wait() -> None:
    times = {"queued": 10.0, "image_ready": 9.0, "admitted": 15.0, "started": 15.5, "ended": 20.0}
    turned = AttemptRecord(path="/a", number=1, state=State.DONE, **times)  # type: ignore[arg-type]

    (line,) = (line for line in lines(attempts=(turned,)) if "waited" in line)

    assert line.endswith("waited 5.0s for its turn, 0.5s for its container")


def test_attempt_shows_its_error() -> None:
    message = "the rest of the output was not stored: the disk is full"
    fine = AttemptRecord(path="/a", number=1, state=State.DONE)
    short = AttemptRecord(path="/a", number=2, state=State.DONE, message=message)

    found = lines(attempts=(fine, short))

    assert found[-3:] == ["  1    done", "  2    done", f"     {message}"]


def test_attempt_shows_whether_its_function_was_forked() -> None:
    forked = AttemptRecord(path="/a", number=1, state=State.DONE, interpreter=FORKED)
    fresh = AttemptRecord(path="/a", number=2, state=State.DONE, interpreter="first call")

    found = lines(attempts=(forked, fresh))

    assert found[-3] == "     ran in a fork of the interpreter that had imported its file"
    assert found[-1] == "     ran in a new interpreter: first call"


def test_attempt_shows_its_usage() -> None:
    fine = AttemptRecord(path="/a", number=1, state=State.DONE)

    found = lines(
        attempts=(fine,), used={1: "1.7 of 2 CPUs on average, 811 MB of 2 GB at its peak"}
    )

    assert found[-2:] == [
        "  1    done",
        "     1.7 of 2 CPUs on average, 811 MB of 2 GB at its peak",
    ]
