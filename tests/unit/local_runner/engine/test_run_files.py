"""The lines that a running command adds to its files, as the process engine reads them."""

from pathlib import Path

from conducto_local.engine.run_files import RunFileTail


def test_newline_of_a_line_that_was_read_before_does_not_hold_back_the_offset(
    tmp_path: Path,
) -> None:
    metrics, tail = tmp_path / "metrics", RunFileTail(tmp_path)

    metrics.write_text("a\n\nb")
    assert tail.frames() == [b"metrics a"]
    metrics.write_text("\n" * 300 + "b")
    tail = RunFileTail(tmp_path)
    assert tail.frames() == []
    metrics.write_text("\n" * 300 + "b\n")
    assert tail.frames() == [b"metrics b"]


def test_line_that_is_too_long_does_not_stop_the_lines_after_it(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("x" * (600 << 10) + "\nlast\n")
    tail = RunFileTail(tmp_path)

    found = [frame for _ in range(3) for frame in tail.frames()]

    assert found[-1] == b"metrics last"
    assert tail.frames() == []
