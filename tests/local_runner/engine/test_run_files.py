"""The lines that a running command adds to its files, as the process engine reads them."""

from pathlib import Path

from conducto_local.engine.process.run_files import RunFileTail


def test_chunk_whose_only_newline_is_its_first_byte_is_passed(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("\n" + "x" * (300 << 10) + "\nlast\n")
    tail = RunFileTail(tmp_path)

    found = [frame for _ in range(3) for frame in tail.frames()]

    assert found[-1] == b"metrics last"


def test_line_that_is_too_long_does_not_stop_the_lines_after_it(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("x" * (600 << 10) + "\nlast\n")
    tail = RunFileTail(tmp_path)

    found = [frame for _ in range(3) for frame in tail.frames()]

    assert found[-1] == b"metrics last"
    assert tail.frames() == []
