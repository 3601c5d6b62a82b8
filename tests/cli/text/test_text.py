import pytest

from conducto_cli.text.text import (
    ASCII_MARKS,
    UNICODE_MARKS,
    Role,
    TextSpan,
    clip,
    fit,
    marks_for,
    printable,
    text_of,
    width,
)
from conducto_core.run.model.labels import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0s"), (0.04, "0.0s"), (4.12, "4.1s"), (9.96, "10s"), (42, "42s"), (185, "3m 05s")],
)
def test_a_duration_reads_as_people_say_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_hours_leave_the_seconds_out() -> None:
    assert duration(2 * 3600 + 3 * 60 + 7) == "2h 03m"


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("✔", 1)])
def test_width_counts_columns_not_characters(text: str, columns: int) -> None:
    assert width(text) == columns


def test_a_wide_name_is_clipped_to_whole_characters() -> None:
    clipped = clip("日本語のとても長い名前", 8)

    assert clipped == "日本語…"
    assert width(clipped) <= 8


def test_a_name_cannot_move_the_cursor() -> None:
    assert printable("a\x1b[2Jb\nc\u202ed") == r"a\x1b[2Jb\nc\u202ed"


def test_a_line_is_cut_where_the_terminal_ends() -> None:
    line = (TextSpan("12345"), TextSpan("67890", Role.BAD), TextSpan("never"))

    assert text_of(fit(line, 8)) == "1234567…"


@pytest.mark.parametrize(
    ("encoding", "marks"),
    [
        ("utf-8", UNICODE_MARKS),
        ("ascii", ASCII_MARKS),
        ("latin-1", ASCII_MARKS),
        (None, ASCII_MARKS),
    ],
)
def test_marks_are_valid_in_the_stream(encoding: str | None, marks: object) -> None:
    assert marks_for(encoding) is marks
