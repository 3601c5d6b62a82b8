"""The steps of a build, as they are written down and read again."""

from itertools import count

from conducto_core.images.build_plan import MAX_STEPS
from conducto_core.run.model.records import ImageState
from conducto_local.engine.port import BuildPart
from conducto_local.images.progress import BuildProgressWriter, steps_in


class Book:
    """A log in memory, and a writer whose clock counts."""

    def __init__(self) -> None:
        self.log = b""

    def writer(self) -> BuildProgressWriter:
        clock = count(1)
        return BuildProgressWriter(self._append, lambda: float(next(clock)))

    def _append(self, line: bytes) -> None:
        self.log += line


def told(book: Book) -> list[tuple[str, str | None, bool]]:
    """Return name, context and whether it has ended, of each step."""
    return [(step.name, step.within, step.ended is not None) for step in steps_in(book.log)]


def test_a_state_is_over_when_the_next_one_begins() -> None:
    book = Book()
    writer = book.writer()

    for state in (ImageState.QUEUED, ImageState.BUILDING, ImageState.COPYING):
        writer.state(state)

    assert told(book) == [
        ("queued", None, True),
        ("building", None, True),
        ("copying", None, False),
    ]


def test_latest_build_steps_are_part_of_the_image_state() -> None:
    book = Book()
    writer = book.writer()
    writer.state(ImageState.BUILDING)
    writer.part(BuildPart("a", "[1/1] RUN x", started=5.0))
    begun = told(book)
    writer.part(BuildPart("a", "[1/1] RUN x", started=5.0, ended=8.0))

    assert begun == [("building", None, False), ("[1/1] RUN x", "building", False)]
    assert (steps_in(book.log)[1].started, steps_in(book.log)[1].ended) == (5.0, 8.0)


def test_a_build_that_fails_leaves_nothing_under_way() -> None:
    book = Book()
    writer = book.writer()
    writer.state(ImageState.BUILDING)
    writer.part(BuildPart("a", "RUN x", started=5.0))
    writer.end("x failed")

    assert [(step.ended is not None, step.error) for step in steps_in(book.log)] == [
        (True, "x failed"),
        (True, "x failed"),
    ]


def test_next_build_starts_without_steps() -> None:
    book = Book()
    book.writer().state(ImageState.BUILDING)
    book.writer().state(ImageState.PULLING)

    assert [step.name for step in steps_in(book.log)] == ["pulling"]


def test_truncated_and_foreign_lines_are_omitted() -> None:
    book = Book()
    book.writer().state(ImageState.BUILDING)

    for rest in (b'{"key": "2", "na', b"nonsense\n", b"[1]\n", b'{"key": "3"}\n', b"\xff\n"):
        assert [step.name for step in steps_in(book.log + rest)] == ["building"]


def test_number_of_reported_steps_is_bounded() -> None:
    book = Book()
    writer = book.writer()
    for number in range(MAX_STEPS + 10):
        writer.part(BuildPart(str(number), "RUN x", started=1.0))

    assert len(steps_in(book.log)) == MAX_STEPS
