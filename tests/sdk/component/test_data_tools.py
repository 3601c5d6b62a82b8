"""The commands `conducto-data-pipeline` and `conducto-data-user`, as real processes."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

MODULE = "conducto.tools.data_tools"


@pytest.fixture
def user(tool):
    return lambda *arguments, **options: tool(MODULE, "user", *arguments, **options)


@pytest.fixture
def pipeline(tool):
    return lambda *arguments, **options: tool(MODULE, "pipeline", *arguments, **options)


def test_bytes_go_in_by_stdin_and_come_out_raw(user) -> None:
    content = bytes(range(256)) * 1000

    put = user("puts", "a b/ü", stdin=content)
    got = user("gets", "a b/ü")

    assert (put.returncode, put.stdout, put.stderr) == (0, b"", b"")
    assert got.stdout == content


def test_files_go_in_and_come_out(user, tmp_path: Path) -> None:
    (tmp_path / "cwd" / "in").write_bytes(b"content")

    put = user("put", "name", "in")
    got = user("get", "name", "out")

    assert (put.stdout, got.stdout) == (b"", b"")
    assert (tmp_path / "cwd" / "out").read_bytes() == b"content"


def test_get_can_write_to_stdout(user) -> None:
    user("puts", "name", stdin=b"content")

    got = user("get", "name", "/dev/stdout")

    assert got.stdout == b"content"


def test_answers_are_json(user) -> None:
    user("puts", "dir/ü", stdin=b"123")

    responses = {
        words: json.loads(user(*words).stdout)
        for words in [
            ("list", "dir"),
            ("list", "nothing"),
            ("list",),
            ("exists", "dir/ü"),
            ("exists", "other"),
            ("size", "dir/ü"),
            ("cache-exists", "c", "1"),
        ]
    }

    assert responses == {
        ("list", "dir"): ["dir/ü"],
        ("list", "nothing"): [],
        ("list",): ["dir"],
        ("exists", "dir/ü"): True,
        ("exists", "other"): False,
        ("size", "dir/ü"): 3,
        ("cache-exists", "c", "1"): False,
    }


def test_the_url_is_printed_in_quotes(pipeline) -> None:
    result = pipeline("url", "im age.png", "--id", "abc-def")

    assert result.stdout == b'"/gw/manager/data/abc-def/pipeline/im%20age.png"\n'


@pytest.mark.parametrize(
    "words",
    [
        ["save-cache", "c", "1", "dir"],
        ["save_cache", "c", "1", "dir"],
        ["save-cache", "--name", "c", "--checksum", "1", "--save-dir", "dir"],
        ["save-cache", "--save_dir=dir", "c", "--checksum=1"],
        ["save-cache", "--checksum", "1", "c", "dir"],
    ],
    ids=" ".join,
)
def test_arguments_are_positional_or_named(words: list[str], user, tmp_path: Path) -> None:
    (tmp_path / "cwd" / "dir").mkdir()

    user(*words)

    assert user("cache-exists", "c", "1").stdout == b"true\n"


def test_a_cache_goes_through_the_tool(user, tmp_path: Path) -> None:
    (tmp_path / "cwd" / "dir").mkdir()
    (tmp_path / "cwd" / "dir" / "file").write_bytes(b"1")
    user("save-cache", "c", "1", "dir")

    restored = user("restore-cache", "c", "1", "out")
    cleared = user("clear-cache", "c")

    assert (restored.returncode, cleared.returncode) == (0, 0)
    assert (tmp_path / "cwd" / "out" / "dir" / "file").read_bytes() == b"1"
    assert user("cache-exists", "c", "1").stdout == b"false\n"


def test_cache_is_restored_as_the_directory_that_was_saved(user, tmp_path: Path) -> None:
    (tmp_path / "cwd" / "dir").mkdir()
    (tmp_path / "cwd" / "dir" / "file").write_bytes(b"1")
    user("save-cache", "c", "1", "dir")

    user("restore-cache", "c", "1", "dir")
    user("restore-cache", "c", "1", "new/dir/")

    assert [path.name for path in (tmp_path / "cwd" / "dir").iterdir()] == ["file"]
    assert [path.name for path in (tmp_path / "cwd" / "new" / "dir").iterdir()] == ["file"]


def test_pipeline_data_without_a_pipeline_names_the_option(pipeline) -> None:
    done = pipeline("list")

    assert done.returncode == 1
    assert b"--id PIPELINE" in done.stderr


def test_a_range_of_bytes_can_be_asked_for(user) -> None:
    user("puts", "name", stdin=b"0123456789")

    assert user("gets", "name", "--byte-range", "2,5").stdout == b"234"


def test_a_directory_is_deleted_with_recursive_only(user) -> None:
    user("puts", "dir/a", stdin=b"")

    refused = user("delete", "dir")
    deleted = user("delete", "dir", "--recursive")

    assert (refused.returncode, deleted.returncode) == (1, 0)
    assert user("exists", "dir").stdout == b"false\n"


def test_each_pipeline_has_its_own_data(pipeline, home: Path) -> None:
    for name in ("one", "two"):
        (home / "default" / "pipelines" / name).mkdir(parents=True)

    pipeline("puts", "name", "--id", "one", stdin=b"1")

    assert pipeline("exists", "name", "--id", "one").stdout == b"true\n"
    assert pipeline("exists", "name", "--id", "two").stdout == b"false\n"


@pytest.mark.parametrize("scope", ["user", "pipeline"])
def test_an_unknown_pipeline_is_refused_and_not_created(scope: str, tool, home: Path) -> None:
    done = tool(MODULE, scope, "puts", "name", "--id", "wrong", stdin=b"1")

    assert done.returncode == 1
    assert b"No pipeline 'wrong' on this machine, in profile 'default'" in done.stderr
    assert not home.exists()


def test_a_name_that_begins_with_a_dash_is_a_name(user) -> None:
    user("puts", "-x", stdin=b"1")
    user("puts", "--", "--y", stdin=b"2")

    assert json.loads(user("list").stdout) == ["--y", "-x"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["gets", "missing"], "No such user data: 'missing'"),
        (["gets", "../x"], "'../x' cannot be a name of data: '..' would leave its directory."),
        (["put", "name", "missing"], "No such file or directory: 'missing'"),
        (["restore-cache", "c", "1", "out"], "Cache not found"),
        (["exists", "x", "--no-local"], "Data storage in the cloud is not available yet"),
        (["url", "x"], "CONDUCTO_PIPELINE_ID is not set"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_failure_prints_one_line_and_exits_with_1(words: list[str], text: str, user) -> None:
    result = user(*words)

    assert result.returncode == 1
    assert result.stdout == b""
    assert result.stderr.decode().count("\n") == 1
    assert result.stderr.decode().startswith("conducto-data-user: ")
    assert text in result.stderr.decode()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "give a command"),
        (["frobnicate"], "'frobnicate' is not a command"),
        (["gets"], "missing argument NAME"),
        (["gets", "a", "b", "c"], "unexpected argument 'c'"),
        (["gets", "a", "--nme", "b"], "unknown option '--nme'; the options are --name"),
        (["gets", "--name"], "--name needs a value"),
        (["gets", "--name", "a", "--name", "b"], "name is given twice"),
        (["delete", "a", "--recursive=yes"], "--recursive takes no value, got 'yes'"),
        (["gets", "a", "--byte-range", "x"], "--byte-range must be BEGIN,END, got 'x'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_invalid_command_line_exits_with_code_2(words: list[str], text: str, user) -> None:
    result = user(*words)

    assert result.returncode == 2
    assert text in result.stderr.decode()
    assert "Traceback" not in result.stderr.decode()


def test_traceback_is_shown_on_request(user) -> None:
    result = user("gets", "missing", CONDUCTO_GLUE_DEBUG="1")

    assert result.returncode == 1
    assert b"Traceback" in result.stderr


def test_help_names_every_command(user) -> None:
    result = user("--help")

    assert result.returncode == 0
    for name in ("gets NAME", "save-cache NAME CHECKSUM SAVE-DIR", "delete NAME [--recursive]"):
        assert name in result.stdout.decode()


def test_the_cloud_can_be_turned_off(user) -> None:
    assert user("exists", "x", CONDUCTO_EXECUTION_ENV="debug_cloud").returncode == 1

    local = user("exists", "x", "--local", CONDUCTO_EXECUTION_ENV="debug_cloud")

    assert local.stdout == b"false\n"


def test_a_node_cannot_ask_for_another_pipeline(pipeline, tmp_path: Path) -> None:
    result = pipeline(
        "exists",
        "x",
        "--id",
        "other",
        CONDUCTO_EXECUTION_ENV="worker_local",
        CONDUCTO_PIPELINE_ID="own",
        CONDUCTO_DATA_PIPELINE=str(tmp_path),
    )

    assert result.returncode == 1
    assert b"a node sees the data of its own pipeline only, which is own" in result.stderr


def test_reader_that_leaves_early_causes_no_traceback(user, python, tmp_path: Path) -> None:
    user("puts", "big", stdin=b"x" * 5_000_000)
    reader, writer = os.pipe()
    os.close(reader)

    with os.fdopen(writer, "wb") as closed:
        result = python("-m", MODULE, "user", "gets", "big", stdout=closed)

    assert (result.returncode, result.stderr) == (1, b"")
