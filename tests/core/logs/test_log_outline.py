"""The outline of an output stream."""

from conducto_core.command.output import LineTime, part_of
from conducto_core.logs.lines import MAX_GROUPS, outline
from conducto_core.run.model.responses import LogOutline


def _outline(
    data: bytes, times: tuple[LineTime, ...] = (), offset: int = 0, *, complete: bool = True
) -> LogOutline:
    return outline(
        lambda count, at: data[at : at + count],
        lambda start, end: part_of(times, start, end),
        len(data),
        offset,
        complete=complete,
    )


def _groups(data: bytes) -> list[tuple[int, str, str]]:
    return [(one.line, one.kind, one.title) for one in _outline(data).groups]


def test_markers_of_github_and_buildkite_form_groups() -> None:
    data = (
        b"::group::Install\na\n::endgroup::\n##[group]Build\r\n##[endgroup]\n"
        b"--- \x1b[32mTest\x1b[0m\n+++ Deploy\n^^^ +++\n ::group::no\n---no\n"
    )

    assert _groups(data) == [
        (0, "closed", "Install"),
        (2, "end", ""),
        (3, "closed", "Build"),
        (4, "end", ""),
        (5, "closed", "Test"),
        (6, "open", "Deploy"),
        (7, "expand", ""),
    ]


def test_header_of_a_diff_is_not_a_group() -> None:
    assert _groups(b"--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n--- Next\n") == [(3, "closed", "Next")]


def test_lines_have_the_time_at_which_their_first_byte_was_read() -> None:
    data = b"one\ntwo\nthree\n"
    times = ((0, 1.0), (5, 2.0), (8, 3.0))  # "wo" was read with the second record

    assert _outline(data, times).times == ((0, 1.0), (2, 3.0))
    assert _outline(data, times[:2]).times == ((0, 1.0), (2, 2.0))


def test_next_part_continues_at_the_start_of_a_line() -> None:
    data = b"one\n--- Two\nhal"
    times = ((0, 1.0), (4, 2.0), (12, 3.0))

    first = _outline(data, times, complete=False)
    rest = _outline(data + b"f\n--- Three\n", times, first.next)

    assert (first.lines, first.next, first.times) == (2, 12, ((0, 1.0), (1, 2.0), (2, 3.0)))
    assert [(one.line, one.title) for one in rest.groups] == [(1, "Three")]
    assert (rest.lines, rest.times) == (2, ((0, 3.0),))


def test_part_with_too_many_groups_is_cut() -> None:
    data = b"--- a\n" * (MAX_GROUPS + 1)

    first = _outline(data)
    rest = _outline(data, offset=first.next)

    assert (first.lines, len(first.groups), first.next) == (MAX_GROUPS, MAX_GROUPS, len(data) - 6)
    assert (rest.lines, len(rest.groups), rest.next) == (1, 1, len(data))
