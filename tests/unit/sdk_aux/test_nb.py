"""`co.nb`: rich output from a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conducto import nb

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


def test_an_error_closes_the_tag_and_goes_on(script) -> None:
    result = script("import conducto.nb as nb\nwith nb.cell():\n    1 / 0\n")

    assert result.returncode == 1
    assert result.stdout.decode().endswith("\n</ConductoMarkdown>\n")
    assert b"ZeroDivisionError" in result.stderr


def test_without_source_the_output_is_shown_all_the_same(python) -> None:
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
