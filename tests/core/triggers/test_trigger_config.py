"""``.conducto.cfg``: sections, filters, commands, and errors that name the line."""

from __future__ import annotations

from configparser import ConfigParser
from contextlib import suppress
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic_core import from_json

from conducto_core.images.model import CloneSource
from conducto_core.run.model.records import GitOrigin, PipelineRecord, PipelineStatus
from conducto_core.run.model.states import State
from conducto_core.tree.rules.resolve import resolve
from conducto_core.triggers.model import GitEvent, GitEventKind
from conducto_core.triggers.rules.config import (
    FilterError,
    Section,
    TriggerConfigError,
    config_schema,
    parse_config,
    parse_filter,
    sections_for,
    values_of,
)
from conducto_core.triggers.rules.launch import launch_of, origin_of, rivals, with_token
from conducto_core.triggers.rules.providers import unique_tag
from support.golden import FILES, REMEDY, read

CONFIG = """
[.general]
name = App

[pr test]
command = python pipeline.py test --branch={branch} --sha={sha}
filter = {base_branch} == main && !({user} == *-bot)
duplicate = SLEEP_OLD
image = python:3.11
install_pip = ["numpy", "pandas"]

[pr]
command = echo {{literal}} {number}

[push main]
command = python pipeline.py
filter = {branch} == main || {branch} == release/*
slack_channel = #builds
"""
PUSH = GitEvent(
    kind=GitEventKind.PUSH,
    url="https://github.com/acme/app.git",
    repository="acme/app",
    branch="main",
    sha="a" * 40,
    user="ann",
)
PR = PUSH.model_copy(
    update={"kind": GitEventKind.PULL_REQUEST, "number": "7", "base_branch": "main"}
)


def section(name: str = "push main", config: str = CONFIG) -> Section:
    return parse_config(config)[name]


def test_exact_section_comes_before_those_with_a_name() -> None:
    sections = parse_config(CONFIG)

    assert list(sections) == ["pr test", "pr", "push main"]
    assert [each.name for each in sections_for(sections, PR)] == ["pr"]
    assert [each.name for each in sections_for(sections, PUSH)] == ["push main"]
    assert sections_for(sections, PUSH.model_copy(update={"kind": GitEventKind.CRON})) == []


def test_section_has_command_image_and_line() -> None:
    found = section("pr test")

    assert found.line == 5
    assert found.command_for(PR) == f"python pipeline.py test --branch=main --sha={'a' * 40}"
    assert found.image == {"image": "python:3.11", "install_pip": ["numpy", "pandas"]}
    assert section("pr").command_for(PR) == "echo {literal} 7"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("command = x", "line 1: write a section such as"),
        ("[push]\nfilter = a == b", r"line 1: \[push\] has no command"),
        ("[push]\ncommand = x\n\n[merge]\ncommand = x", r"line 4: unknown event \[merge\]"),
        ("[push]\ncommand = x\nshouting", "line 3: write 'name = value'"),
        ("[push]\ncommand = x\ncommand = y", "line 3: 'command' is given twice"),
        ("[push]\ncommand = x\n[push]\ncommand = y", r"line 3: the section \[push\] exists twice"),
        ("[push]\ncommand = x {branche}", "line 2: command: there is no value {branche}"),
        ("[push]\ncommand = x {branch.a}", "line 2: command: there is no value"),
        ("[push]\ncommand = x {", "line 2: command: .*write {{ and }} for braces"),
        ("[push]\ncommand = x\nduplicate = NO", "line 3: duplicate: unknown value 'NO'"),
        ("[push]\ncommand = x\nfilter = {branch} =", "line 3: filter: "),
        ("[push]\ncommand = x\nfilter = {x} == a", "line 3: filter: there is no value {x}"),
        ("[push]\ncommand = x\ncopy_repo = true", "line 3: copy_repo is not allowed"),
        ("[push]\ncommand = x\ndockerfile = D", "line 3: dockerfile is not allowed"),
        ("[push]\ncommand = x\ninstall_pip = [1", "line 3: install_pip: .* not valid JSON"),
        ("[push]\ncommand = x\ncolour = red", "line 3: unknown key 'colour'"),
        ("[.general]\ncolour = red", "line 2: unknown key 'colour'"),
    ],
)
def test_error_names_the_line(text: str, message: str) -> None:
    with pytest.raises(TriggerConfigError, match=message):
        parse_config(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{branch} == main", True),
        ("{branch} != main", False),
        ("{branch} == ma*", True),
        ("mai? == {branch}", True),
        ("!{branch} == main", False),
        ("{branch} == dev || {user} == ann && {branch} == main", True),
        ("({branch} == dev || {user} == ann) && {branch} == dev", False),
        ("!({branch} == dev)", True),
        ('{title} == "fix: a (b) && c"', True),
        ("{title} == fix*", True),
        ("x{branch}y == xmainy", True),
        ("{branch} == *a*n", True),
        ("{branch} == **", True),
        ("{branch} == m*?a*", False),
        ("{branch} == main?", False),
    ],
)
def test_filter_decides_by_values(text: str, expected: bool) -> None:
    values = {"branch": "main", "user": "ann", "title": "fix: a (b) && c"}

    assert parse_filter(text, values)(values) is expected


def test_many_stars_do_not_backtrack() -> None:
    values = {"branch": "a" * 5000}

    assert not parse_filter("{branch} == " + "*a" * 500 + "b", values)(values)
    assert parse_filter("{branch} == " + "*a" * 500 + "*", values)(values)


def test_values_of_the_file_do_not_refer_to_each_other() -> None:
    growing = "".join(f"k{n} = {f'%(k{n + 1})s' * 9}\n" for n in range(40))
    with pytest.raises(TriggerConfigError, match="unknown key 'k0'"):
        parse_config(f"[push]\ncommand = x\n{growing}")

    found = section("push", "[push]\ncommand = date +%Y%% %(filter)s\n")
    assert found.command == "date +%Y%% %(filter)s"


def test_value_of_an_event_is_taken_literally() -> None:
    for hostile in ("*", "main' || main", "x || {user}", "main)"):
        values = {"branch": hostile, "user": "eve"}
        assert not parse_filter("{branch} == main", values)(values)


@pytest.mark.parametrize("text", ["", "main", "{a} == ", "({a} == b", "{a} == b {a} == b", "== b"])
def test_invalid_filter_is_rejected(text: str) -> None:
    with pytest.raises(FilterError):
        parse_filter(text, ("a",))


@pytest.mark.parametrize(
    "branch",
    ["$(reboot)", "a;b", "a b", "`x`", "a'b", 'a"b', "a|b", "a\nb", "-x", "--x=y", "#x", "~x"],
)
def test_value_with_a_meaning_in_a_shell_is_not_in_a_command(branch: str) -> None:
    event = PR.model_copy(update={"branch": branch})

    with pytest.raises(TriggerConfigError, match="CONDUCTO_TRIGGER_BRANCH"):
        section("pr test").command_for(event)


def test_launch_is_a_lazy_with_the_code_of_the_commit() -> None:
    url = with_token(PUSH.url, "github", "ghp 1")
    clone = CloneSource(url=url, branch=PUSH.branch, commit=PUSH.sha)
    request = launch_of(section(), PUSH, clone)
    pipeline = resolve(request.tree)

    generate = pipeline.nodes["/Generate"]
    assert generate.lazy_target == "/Execute"
    assert generate.env["CONDUCTO_TRIGGER_BRANCH"] == "main"
    image = pipeline.images[generate.placement.image]
    assert (image.copy_url, image.copy_branch) == (PUSH.url, "main")
    (source,) = request.sources.values()
    assert source.clone is not None
    assert (source.clone.url, source.clone.commit) == (
        "https://x-access-token:ghp%201@github.com/acme/app.git",
        "a" * 40,
    )
    assert "ghp" not in repr(request)
    assert "conducto/cfg/push/main" in request.tags


def test_only_the_same_commit_suppresses_a_launch() -> None:
    def record(id_: str, sha: str, state: State) -> PipelineRecord:
        event = PUSH.model_copy(update={"sha": sha})
        origin: GitOrigin = origin_of("t", "github", "push main", event)
        status = PipelineStatus(state=state, settled=state is State.DONE)
        tags = (unique_tag(event, "push main"),)
        return PipelineRecord(id=id_, title="t", tags=tags, git=origin, status=status)

    running = [record("a", "a" * 40, State.RUNNING), record("b", "b" * 40, State.RUNNING)]
    ended = [record("c", "a" * 40, State.DONE)]
    old = section(config=CONFIG + "duplicate = SLEEP_OLD\n")

    assert [each.id for each in rivals([*running, *ended], section(), PUSH)] == ["a"]
    assert [each.id for each in rivals([*running, *ended], old, PUSH)] == ["a", "b"]


def test_values_have_the_tag_of_a_tag_event() -> None:
    event = PUSH.model_copy(update={"kind": GitEventKind.CREATE_TAG, "branch": "v1"})

    assert (values_of(event)["tag"], values_of(PUSH)["tag"]) == ("v1", "")


def as_objects(text: str) -> dict[str, Any]:
    """Return the file as its JSON schema describes it."""
    config = ConfigParser(interpolation=None)
    config.read_string(text)
    found: dict[str, Any] = {}
    for name in config.sections():
        found[name] = dict(config.items(name))
        for key, value in config.items(name):
            with suppress(ValueError):
                found[name][key] = from_json(value)
    return found


def test_schema_and_parser_agree() -> None:
    check = Draft202012Validator(config_schema())
    Draft202012Validator.check_schema(config_schema())
    good = [CONFIG, "[push]\ncommand = x", '[create-tag v1]\ncommand = x\nreqs_py = ["a"]']
    bad = [
        "[puch]\ncommand = x",
        "[pr-x]\ncommand = x",
        "[push]\nfilter = {branch} == main",
        "[push]\ncommand =",
        "[push]\ncommand = x\ncopy_dir = .",
        "[push]\ncommand = x\ncomand = y",
        "[push]\ncommand = x\nduplicate = NEVER",
        "[.general]\nnaame = App",
    ]

    for text in good:
        parse_config(text)
        assert [error.message for error in check.iter_errors(as_objects(text))] == []
    for text in bad:
        with pytest.raises(TriggerConfigError):
            parse_config(text)
        assert not check.is_valid(as_objects(text)), text


def test_schema_equals_the_published_one() -> None:
    assert FILES["conducto-cfg.schema.json"]() == read("conducto-cfg.schema.json"), REMEDY
