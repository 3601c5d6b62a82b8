"""``conducto import github``: its output, its exit codes, and invalid input."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import conducto as co
from conducto_cli.import_github.pipeline import translate
from conducto_cli.import_github.workflow import WorkflowError
from conducto_cli.main import main

Output = pytest.CaptureFixture[str]
JOB = "jobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"


def write(folder: Path, text: str, name: str = "ci.yml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_script_goes_to_stdout_and_the_list_to_stderr(tmp_path: Path, capsys: Output) -> None:
    file = write(tmp_path, f"{JOB}      - run: make\n      - uses: acme/deploy@v1\n")

    assert main(["import", "github", file]) == 0

    printed = capsys.readouterr()
    assert 'root["a"] = co.Exec("make"' in printed.out
    assert printed.err.splitlines() == [
        f"{file}:6: not translated: the action acme/deploy; write what it does as a command",
        "1 part not translated, listed above",
    ]


def test_strict_ends_with_1_if_a_part_is_missing(tmp_path: Path) -> None:
    whole = write(tmp_path, f"{JOB}      - run: make\n")
    part = write(tmp_path, f"{JOB}      - uses: acme/deploy@v1\n", "part.yml")

    assert main(["import", "github", whole, "--strict"]) == 0
    assert main(["import", "github", part, "--strict"]) == 1


def test_script_is_written_to_a_new_file(tmp_path: Path, capsys: Output) -> None:
    file = write(tmp_path, f"{JOB}      - run: make\n")
    script = tmp_path / "pipeline.py"

    assert main(["import", "github", file, "-o", str(script)]) == 0
    assert "co.main(default=ci)" in script.read_text()
    assert f"python {script}" in capsys.readouterr().out

    script.write_text("mine")
    assert main(["import", "github", file, "-o", str(script)]) == 2
    assert script.read_text() == "mine"
    assert "file exists; give another name" in capsys.readouterr().err


def test_several_files_become_one_script(tmp_path: Path) -> None:
    files = [("ci.yml", f"{JOB}      - run: make\n"), ("release.yml", f"{JOB}      - run: ship\n")]

    found = translate(files, "pipeline.py")

    assert re.findall(r"^def (\w+)", found.script, re.MULTILINE) == ["ci", "release"]
    assert "co.main(default=ci)" in found.script


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("jobs: [a: b: c]", 1, "this is not YAML"),
        ("a: \x00", 1, "this is not YAML"),
        ("", 1, "it has no jobs"),
        ("- a\n- b", 1, "it has no jobs"),
        ("name: x\njobs: {}", 1, "it has no jobs"),
        ("name: x\nruns:\n  using: composite\n  steps: []", 3, "an action, not a workflow"),
        ("jobs:\n  a/b: {runs-on: x}", 2, "'a/b' is not a name of a job"),
        ("jobs:\n  a: {runs-on: x}", 2, "neither steps nor uses"),
        ("jobs:\n  a: text", 2, "expected a mapping, got text"),
        ("jobs:\n  a:\n    steps: {}", 3, "expected a list, got a mapping"),
        (f"{JOB}      - name: x", 5, "a step has either run or uses"),
        (f"{JOB}      - run: [x]", 5, "expected text, got a list"),
        (f"{JOB}      - run: x\n    needs: b", 6, "the job a needs b, but there is no such job"),
        (
            "jobs:\n  a: {needs: b, steps: [run: x]}\n  b: {needs: a, steps: [run: x]}",
            2,
            "jobs need each other",
        ),
        ("jobs:\n  a: &x [*x]", 1, "nested too deeply"),
        ("jobs:\n  a: 1\n  a: 2", 3, "is there twice"),
        ("[" * 1000, 1, "nested too deeply"),
        ("x" * 2_000_000, 1, "more than 1,048,576 bytes"),
    ],
)
def test_invalid_file_is_an_error_with_its_line(
    text: str, line: int, message: str, tmp_path: Path, capsys: Output
) -> None:
    file = write(tmp_path, text)

    assert main(["import", "github", file]) == 2

    error = capsys.readouterr().err
    assert error.startswith(f"conducto: {file}:{line}: ")
    assert message in error
    assert error.count("\n") == 1


def test_aliases_do_not_make_a_file_larger_without_limit(tmp_path: Path, capsys: Output) -> None:
    levels = "\n".join(f"k{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12))
    file = write(tmp_path, f"k0: &a0 x\n{levels}")

    assert main(["import", "github", file]) == 2
    assert "more than 50,000 values" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["missing.yml", "binary.yml", ""])
def test_unreadable_file_is_an_error(name: str, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\x00")

    assert main(["import", "github", str(tmp_path / name)]) == 2

    assert re.search("cannot read|is not text in UTF-8", capsys.readouterr().err)


def test_matrix_of_300_is_a_loop() -> None:
    matrix = f"strategy:\n      matrix:\n        n: [{', '.join(map(str, range(300)))}]"
    text = f"jobs:\n  a:\n    {matrix}\n    steps:\n      - run: echo ${{{{ matrix.n }}}}\n"

    found = translate([("ci.yml", text)], "pipeline.py")

    assert found.problems == []
    assert 'co.Exec(f"echo {n}"' in found.script


def test_names_in_the_script_are_different() -> None:
    """A variable of a matrix, a parameter and a function may have the same name in a workflow."""
    text = """
on: {workflow_dispatch: {inputs: {level: {default: low}}}}
jobs:
  build:
    strategy: {matrix: {build: [1, 2], level: [3, 4], tag: [5, 6], co: [7, 8], class: [a, b]}}
    steps:
      - run: echo ${{ matrix.build }} ${{ matrix.level }} ${{ inputs.level }} ${{ matrix.class }}
      - run: echo ${{ matrix.tag }} ${{ github.event.release.tag_name }}
  tag:
    needs: build
    steps: [{run: one}, {run: two}]
"""
    found = translate([("build.yml", text)], "pipeline.py")

    space: dict[str, Any] = {"__name__": "script"}
    exec(found.script, space)
    root = space["build"](level="input")
    commands = [node.command for node in root.stream() if isinstance(node, co.Exec)]
    assert len(commands) == 2**5 * 2 + 2
    assert commands[0] == "echo 1 3 $INPUT_LEVEL a"


def test_unknown_parts_never_run_otherwise_than_on_github() -> None:
    text = f"""{JOB}      - run: deploy ${{{{ steps.a.outputs.x }}}}
      - run: one
        if: needs.b.result == 'success'
      - run: two
        if: this is not an expression
      - run: Write-Host
        shell: pwsh
      - run: release $VERSION
        env: {{VERSION: "${{{{ steps.v.outputs.version }}}}"}}
      - run: rm -rf *
        working-directory: ${{{{ steps.v.outputs.folder }}}}
      - run: rm -rf $GITHUB_ACTION_PATH/build
  reusable:
    uses: ./.github/workflows/other.yml
  image:
    container: app:${{{{ vars.VERSION }}}}
    steps: [run: four]
  computed:
    strategy: {{matrix: "${{{{ fromJSON(needs.a.outputs.list) }}}}"}}
    steps: [run: three]
"""
    found = translate([("ci.yml", text)], "pipeline.py")

    commands = re.findall(r"co\.Exec\((.*?)\)\n", found.script, re.DOTALL)
    assert len(commands) == 10
    assert all("skip=True" in each for each in commands), commands
    assert len(found.problems) == 10


EVIL = "x\"\"\"\n'''; import os; os.abort() # \\ {evil} \x1b]52;c;aGk=\x07"


def test_text_of_a_workflow_does_not_become_code(tmp_path: Path, capsys: Output) -> None:
    """Whatever a workflow contains is text in the script, and prints no control character."""
    import json

    evil = json.dumps(EVIL)
    text = f"""
name: {evil}
on:
  push: {{branches: [{evil}], {evil}: 1}}
  workflow_dispatch: {{inputs: {{ {evil}: {{default: {evil}}} }} }}
env: {{ {evil}: {evil} }}
jobs:
  a:
    name: {evil}
    runs-on: {evil}
    timeout-minutes: {evil}
    if: {evil}
    container: {{image: {evil}, options: {evil}, env: {{ {evil}: {evil} }} }}
    services: {{ {evil}: {{image: {evil}, ports: [{evil}], options: {evil}, env: {{A: {evil}}} }} }}
    strategy: {{max-parallel: {evil}, matrix: {{ {evil}: [{evil}, b] }} }}
    steps:
      - {{run: {evil}, name: {evil}, working-directory: {evil}, env: {{ {evil}: {evil} }} }}
      - {{run: "a\\nb", if: "inputs.import == {EVIL[:1]} && github.actor", shell: {evil} }}
      - uses: {evil}
      - uses: actions/cache@v4
        with: {{path: {evil}, key: {evil}}}
"""
    file = write(tmp_path, text)

    main(["import", "github", file])

    printed = capsys.readouterr()
    tree = ast.parse(printed.out)
    assert not [
        each
        for each in ast.walk(tree)
        if isinstance(each, ast.Import) and each.names[0].name != "conducto"
    ]
    calls = {ast.unparse(each.func) for each in ast.walk(tree) if isinstance(each, ast.Call)}
    assert not {each for each in calls if "." in each and not each.startswith("co.")}
    assert re.search("[\x00-\x09\x0b-\x1f\x7f]", printed.out + printed.err) is None


#: Values that a workflow may have anywhere, some of them wrong.
VALUES: list[Any] = [
    *(
        None,
        [],
        {},
        "",
        "x",
        ["a", "b"],
        {"a": "b"},
        3,
        "a\n\nb\n",
        "'",
        '"',
        [{"a": 1}],
        "\\",
        "{}",
    ),
    *("${{ matrix.x }}", "${{ foo(", "${{ secrets.A }}", "${{ 'it''s' }}", "${{ 1 && 2 }}"),
    *("${{ always() }}", "${{ needs.a.outputs.b }}", "${{ matrix['a b'] }}", "${{ github.ref }}"),
    *("${{ inputs.class }}", "${{ env.B && 'x' || 'y' }}", "${{ contains(github.ref, 'tags') }}"),
]
WORKFLOWS = [
    yaml.load(path.read_text(), yaml.BaseLoader)
    for path in sorted((Path(__file__).parent / "workflows").glob("*.yml"))
]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container in a value with its keys."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from places(value[key])


@settings(max_examples=80)
@given(st.integers(0, len(WORKFLOWS) - 1), st.data())
def test_changed_workflow_is_a_script_or_an_error(number: int, data: st.DataObject) -> None:
    workflow = copy.deepcopy(WORKFLOWS[number])
    for _ in range(data.draw(st.integers(1, 2))):
        container, key = data.draw(st.sampled_from(list(places(workflow))))
        container[key] = copy.deepcopy(data.draw(st.sampled_from(VALUES)))
    try:
        found = translate([("ci.yml", yaml.safe_dump(workflow))], "pipeline.py")
    except WorkflowError:
        return
    compile(found.script, "pipeline.py", "exec")


@pytest.mark.parametrize(
    ("test", "nodes"),
    [
        ("env.EMPTY", 1),
        ("env.FULL", 2),
        ("!env.EMPTY", 2),
        ("env.FULL == 'YES'", 2),
        ("env.FULL != 'yes' || env.EMPTY", 1),
        ("github.repository == 'acme/app'", 2),
        ("${{ runner.os == 'Windows' }}", 1),
        ("true", 2),
    ],
)
def test_condition_that_is_known_is_decided(test: str, nodes: int) -> None:
    env = "env: {EMPTY: '', FULL: yes}\n"
    text = f'{env}{JOB}      - run: echo a\n      - run: echo b\n        if: "{test}"\n'

    found = translate([("ci.yml", text)], "pipeline.py")

    space: dict[str, Any] = {"__name__": "script"}
    exec(found.script, space)
    root = space["ci"]()
    assert sum(isinstance(node, co.Exec) for node in root.stream()) == nodes
    assert found.problems == []
