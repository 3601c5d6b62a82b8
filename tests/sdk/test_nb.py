"""`co.nb`: rich output from a node."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from conducto import nb
from conducto.nb.report_files import file_name

if TYPE_CHECKING:
    from pathlib import Path

CELLS = """\
import conducto.nb as nb

def work():
    with nb.cell():
        # ## Title
        # Prose with `code`.

        # a comment of the code
        x = 1 + 1
        print(f"x is {x}")

with nb.cell(
):
    print("no comment")

with nb.cell():
    # Only prose.
    pass

work()
with nb.cell():
    # Outer.
    print(nb.IN_MARKDOWN)
    with nb.cell():
        # Inner.
        print("in")
    nb.show_markdown("**bold**")
nb.show_markdown("after")
print(nb.IN_MARKDOWN)
"""


@pytest.fixture
def script(python, tmp_path: Path):
    """Runs a script; returns its result."""

    def run(text: str, **env: str):
        path = tmp_path / "my script.py"
        path.write_text(text)
        return python(str(path), **env)

    return run


def test_a_cell_shows_prose_then_code_then_output(script) -> None:
    output = script(CELLS).stdout.decode()

    assert (
        "<ConductoMarkdown>\n"
        "## Title\n"
        "Prose with `code`.\n"
        "\n"
        "```python\n"
        "\n"
        "# a comment of the code\n"
        "x = 1 + 1\n"
        'print(f"x is {x}")\n'
        "\n```\n"
        "\n"
        "x is 2\n"
        "\n</ConductoMarkdown>\n"
    ) in output


def test_a_header_over_two_lines_is_not_part_of_the_cell(script) -> None:
    output = script(CELLS).stdout.decode()

    assert output.startswith(
        '<ConductoMarkdown>\n```python\nprint("no comment")\n\n```\n\nno comment\n'
    )


def test_cells_within_cells_open_one_tag(script) -> None:
    output = script(CELLS).stdout.decode()

    outer = output[output.index("Outer.") : output.index("after")]
    assert "True\n" in outer
    assert "Inner." in outer
    assert "**bold**" in outer
    assert outer.count("</ConductoMarkdown>") == 1


def test_after_a_cell_markdown_has_its_own_tags(script) -> None:
    output = script(CELLS).stdout.decode()

    assert output.endswith("<ConductoMarkdown>\nafter\n</ConductoMarkdown>\nFalse\n")


def test_error_closes_the_tag_and_propagates(script) -> None:
    result = script("import conducto.nb as nb\nwith nb.cell():\n    1 / 0\n")

    assert result.returncode == 1
    assert result.stdout.decode().endswith("\n</ConductoMarkdown>\n")
    assert b"ZeroDivisionError" in result.stderr


def test_output_is_shown_without_source(python) -> None:
    result = python("-c", "import conducto.nb as nb\nwith nb.cell():\n    print('out')")

    assert result.stdout == b"<ConductoMarkdown>\nout\n\n</ConductoMarkdown>\n"


def test_plots_need_a_node() -> None:
    with pytest.raises(EnvironmentError, match="works in a node of a pipeline only"):
        nb.matplotlib_inline()


def test_plots_need_matplotlib(script) -> None:
    result = script(
        "import sys; sys.modules['matplotlib'] = None\n"
        "import conducto.nb\n"
        "try:\n    conducto.nb.matplotlib_inline()\n"
        "except ImportError as error:\n    print(error)\n",
        CONDUCTO_PIPELINE_ID="abc",
    )

    assert result.stdout.decode().startswith("matplotlib is not installed in this image")


PLOTS = """\
import sys
import conducto.nb as nb
nb.matplotlib_inline()
from matplotlib import pyplot as plt
plt.plot([1, 2])
plt.show()
plt.show()
print("again")
with nb.cell():
    plt.figure()
    plt.plot([2, 1])
    plt.show()
"""


def test_show_saves_each_new_figure_once_and_links_it(script, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")

    result = script(PLOTS, CONDUCTO_PIPELINE_ID="abc", CONDUCTO_DATA_PIPELINE=str(tmp_path / "d"))

    plots = sorted((tmp_path / "d" / ".mpl_plots").iterdir())
    assert result.stderr == b""
    assert len(plots) == 2
    assert all(plot.read_bytes().startswith(b"\x89PNG") for plot in plots)
    before, after = result.stdout.decode().split("again\n")
    assert before.startswith(
        "<ConductoMarkdown>\n![figure](/gw/manager/data/abc/pipeline/.mpl_plots/"
    )
    assert before.count("![figure]") == after.count("![figure]") == 1
    assert after.count("<ConductoMarkdown>") == 1


REPORT = """\
import conducto as co
co.nb.report("# Good\\nAll **well** \u00fc.")
co.nb.report("| a |", name="accuracy")
with co.nb.cell():
    co.nb.report("within", name="accuracy.md")
"""


def test_a_report_is_printed_and_kept_and_replaced(script, tmp_path: Path) -> None:
    data = tmp_path / "data"

    result = script(
        REPORT,
        CONDUCTO_PIPELINE_ID="abc",
        CONDUCTO_NODE="/Models/tree",
        CONDUCTO_DATA_PIPELINE=str(data),
    )

    assert result.stderr == b""
    output = result.stdout.decode()
    assert "<ConductoMarkdown>\n# Good\nAll **well** ü.\n</ConductoMarkdown>\n" in output
    assert output.count("<ConductoMarkdown>") == output.count("</ConductoMarkdown>") == 3
    kept = {path.name: path.read_text(encoding="utf-8") for path in (data / "reports").iterdir()}
    assert kept == {"+Models+tree.md": "# Good\nAll **well** ü.", "accuracy.md": "within"}


def test_a_report_needs_a_node() -> None:
    with pytest.raises(EnvironmentError, match=r"co\.nb\.report\(\) works in a node of a pipeline"):
        nb.report("# Good")


@pytest.mark.parametrize("name", ["", ".md", "a/b", "../a", "+a", "a\0b", "ü" * 127])
def test_invalid_report_name_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match=r"the name of a report"):
        file_name(name, "/node")


def test_the_name_of_a_report_is_text() -> None:
    with pytest.raises(TypeError, match="must be text, got 3"):
        file_name(3, "/node")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/", "+.md"),
        ("/Tune the best/Execute/C=4", "+Tune the best+Execute+C=4.md"),
        ("/a+b/100%", "+a%2Bb+100%25.md"),
        ("/..", "+...md"),
    ],
)
def test_a_nodes_own_report_is_its_path_in_one_name(path: str, file: str) -> None:
    assert file_name(None, path) == f"reports/{file}"


def test_paths_that_differ_have_reports_of_their_own_however_long_they_are() -> None:
    long = "/" + "ü" * 300
    paths = ["/a/b", "/a+b", "/a%2Bb", "/a%b", "/+a", "//a", long, long + "1", long + "/1"]

    names = [file_name(None, path).removeprefix("reports/") for path in paths]

    assert len(set(names)) == len(paths)
    assert all(len(name.encode()) <= 255 and "/" not in name for name in names)


def test_a_shell_finds_the_same_name(tmp_path: Path) -> None:
    path = "/Look/Loneliest/Execute/South America"

    line = 'printf "%s.md" "$(echo "$CONDUCTO_NODE" | tr / +)"'
    said = subprocess.run(
        ["sh", "-c", line], env={"CONDUCTO_NODE": path}, capture_output=True, check=True
    )

    assert f"reports/{said.stdout.decode()}" == file_name(None, path)
