import stat
from pathlib import Path

from conducto_local.debug.handlers import lasting_script, passing_script
from support.debug_plans import plan


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_container_users_can_run_the_script(tmp_path: Path) -> None:
    folder = tmp_path / "debug"

    script = lasting_script(plan(folder=str(folder)))

    assert script.read_text() == "#!/bin/bash\nmake\n"
    assert (mode(script), mode(folder)) == (0o777, 0o700)


def test_the_same_command_has_the_same_file(tmp_path: Path) -> None:
    first = lasting_script(plan(folder=str(tmp_path)))

    assert lasting_script(plan(folder=str(tmp_path))) == first
    assert lasting_script(plan(folder=str(tmp_path), script="#!/bin/sh\nother\n")) != first


def test_script_is_rewritten_for_each_shell(tmp_path: Path) -> None:
    script = lasting_script(plan(folder=str(tmp_path)))
    script.write_text("spoilt")

    lasting_script(plan(folder=str(tmp_path)))

    assert script.read_text() == "#!/bin/bash\nmake\n"


def test_the_file_of_one_shell_goes_with_it(tmp_path: Path) -> None:
    with passing_script(plan(folder=str(tmp_path))) as script:
        assert script.exists()

    assert list(tmp_path.iterdir()) == []


def test_the_file_is_utf_8(tmp_path: Path) -> None:
    script = lasting_script(plan(folder=str(tmp_path), script="#!/bin/sh\necho ü\n"))

    assert script.read_bytes() == "#!/bin/sh\necho ü\n".encode()
