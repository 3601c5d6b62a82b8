"""The example of the page is what the command writes."""

from pathlib import Path

from conducto_cli.import_github.pipeline import translate
from support.documentation import blocks

PAGE = Path(__file__).parents[3] / "docs" / "from-github-actions.md"


def test_example_of_the_page_is_the_output_of_the_command() -> None:
    texts = dict(blocks(PAGE))

    found = translate([(".github/workflows/ci.yml", texts["yaml"])], "pipeline.py")

    assert found.script == texts["python"]
    assert found.problems == []
