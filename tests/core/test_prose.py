import ast
from collections import defaultdict

import pytest

from tools.identifiers import Class, classes, empty_names, missing_attributes
from tools.prose import package_of, too_many_openings
from tools.prose_rules import findings, foreign_installs, opens_with_interrogative
from tools.prose_texts import COMMENT, DOCS, MESSAGE, TEST_NAME, Text, texts_of

GOOD = [
    "Return the delay before the next attempt.",
    "The dot stands for the current directory; see the stand-in in tests.",
    "Outstanding requests are cancelled. Do you understand this?",
    "The token is not valid, and the session is no longer active.",
    "There may be no engine, and if there still is no agent, start it.",
    "Users who lost their session sign in again; anyone who has the link can read it.",
    "The error names the value and what to do.",
    "What is a missed heartbeat called?",
    "What is new in this version",
    "There is no pipeline with this ID, there can be no other, so there is nothing to stop.",
    "Attempts in flight finish; at most 20 run at a time.",
    "Events arrive in the order in which they were sent, orders of magnitude faster.",
    "The agent does not answer: the connection was refused.",
    "Two of the five nodes failed. The other one continues.",
    "Move on to the next page, or hold the key.",
    "Is there an agent? If there are no workers, wait.",
    "Use images whose authors you trust, and ask the owner, who launched it.",
    "The secrets are those as of now. Hide it in what commands print.",
    "Nobody can connect to the worker.",
    "A personal token, never a password.",
    "One of the users is told apart by name.",
    "Each piece together forms the log.",
]
BAD = {
    "Return what bears that name.": 2,
    "Build the image anew.": 1,
    "The function where state stands.": 1,
    "Hire more workers for what is queued.": 2,
    "The client is told.": 1,
    "This is no token.": 1,
    "The pipeline of before is kept.": 1,
    "A page for who has just submitted something.": 1,
    "List what there is.": 1,
    "Whoever asks gets a ticket.": 1,
    "Who reads half a file ends with an error.": 1,
    "It is held by nobody.": 1,
    "The API is away.": 1,
    "The file is already there.": 1,
    "Where what ran goes\n    on": 2,
    "The one that ended first": 1,
    "Orders are carried out.": 2,
    "Send a piece of the output.": 1,
    "It agrees on both sides.": 1,
    "An answer that comes late.": 1,
    "The build has begun, and the old one is gone.": 2,
    "Else nothing happens.": 1,
    "An order for so many nodes, tried so often.": 3,
    "Nothing is to be seen.": 1,
    "Most bars of a timeline.": 1,
    "The size of a picture, at most.": 1,
}


def _found(text: str, kind: str = COMMENT) -> list[str]:
    return [each.found for each in findings(Text("a.py", 1, kind, text))]


@pytest.mark.parametrize("text", GOOD)
def test_plain_english_has_no_finding(text: str) -> None:
    assert _found(text) == []


@pytest.mark.parametrize("text", BAD)
def test_banned_phrases_are_found(text: str) -> None:
    assert len(_found(text)) == BAD[text]


@pytest.mark.parametrize(
    "name", ["page reconnects after agent restart", "expired token is rejected", "one user sees it"]
)
def test_facts_are_accepted_as_test_names(name: str) -> None:
    assert _found(name, TEST_NAME) == []


@pytest.mark.parametrize(
    "name",
    [
        "of two who write one wins",
        "what a session knows",
        "nor is it typed",
        "one that stays is kept",
        "somebody takes it",
        "nobody waits",
    ],
)
def test_clauses_are_rejected_as_test_names(name: str) -> None:
    assert _found(name, TEST_NAME)


def test_finding_shows_its_place_and_remedy() -> None:
    text = Text("a/b.py", 7, MESSAGE, "an error\nof a job that builds anew")

    (finding,) = findings(text)
    assert str(finding) == (
        "a/b.py:8: message: 'a job that builds anew':"
        " say 'again', 're-...', 'rebuild' or 'recreate'"
    )


def _texts(path: str, source: str) -> list[tuple[int, str, str]]:
    return [(text.line, text.kind, text.text) for text in texts_of(path, source)]


PYTHON = '''"""Module."""

# first line of a
# comment
X = 1  # noqa: E501


class Test:
    """Class with ``code``."""

    def test_it_works(self):
        if X:
            raise ValueError(f"bad value {X!r} in it")
        return "one word", """select
two words""", "word"
'''


def test_python_texts_have_kinds_and_lines() -> None:
    assert sorted(_texts("sdk/a.py", PYTHON)) == [
        (1, "docstring", "Module."),
        (3, "comment", "first line of a\ncomment"),
        (9, "docstring", "Class with ________."),
        (11, "test name", "it works"),
        (13, "message", "bad value _ in it"),
        (14, "message", "one word"),
        (14, "message", "select\ntwo words"),
    ]


def test_strings_of_tests_count_only_where_they_are_raised_or_printed() -> None:
    messages = [text for text in _texts("tests/a.py", PYTHON) if text[1] == MESSAGE]

    assert messages == [(13, MESSAGE, "bad value _ in it")]


def test_names_of_arguments_are_code() -> None:
    source = '''def run(orders):
    """Run.

    Args:
        orders: The actions.
    """'''

    assert [text for _, _, text in _texts("a.py", source)] == [
        "Run.\n\n    Args:\n______________: The actions.\n    "
    ]


@pytest.mark.parametrize("program", ["SELECT a FROM orders", "\\nimport conducto as co\\nbegun"])
def test_programs_are_not_messages(program: str) -> None:
    assert _texts("sdk/a.py", f'run("{program}")') == []


def test_markdown_code_is_left_out() -> None:
    source = (
        "# Title\n\nText with `code`\non two lines.\n\n```\nwhat is told\n```\n- [item](what.md)\n"
    )

    assert [(line, " ".join(text.split())) for line, _, text in _texts("a.md", source)] == [
        (1, "# Title"),
        (2, "Text with ______ on two lines."),
        (9, "- [item"),
    ]
    assert {kind for _, kind, _ in _texts("a.md", source)} == {DOCS}


TSX = """// a comment
// of two lines
const url = "https://example.org";
const text = "two words", name = 'word';
/** A block. */
return <p title={`from ${a} to both`}>Shown to people {count}</p>;
"""


def test_typescript_comments_strings_and_elements_are_texts() -> None:
    assert sorted(_texts("a.tsx", TSX)) == [
        (1, "comment", "a comment\nof two lines"),
        (4, "message", "two words"),
        (5, "comment", " A block. "),
        (6, "message", "Shown to people "),
        (6, "message", "from _ to both"),
    ]


def test_shell_comments_are_texts() -> None:
    assert _texts("a.sh", "#!/bin/sh\n# Start it.\nrun # not this\n") == [
        (2, "comment", "Start it.")
    ]


@pytest.mark.parametrize("docstring", ["What it does.", "How many there are.", "\n  Which one."])
def test_interrogative_openings_are_recognised(docstring: str) -> None:
    assert opens_with_interrogative(docstring)
    assert not opens_with_interrogative("Whether it runs.")


def test_packages_with_too_many_interrogative_openings_are_reported() -> None:
    few, many = ([], 100, [*range(8)]), ([], 100, [*range(9)])

    (message,) = too_many_openings({"sdk/good/a.py": few, "sdk/bad/deep/a.py": many})

    assert message.startswith("sdk/bad: 9 of 100 docstrings open with what, who, how or which")
    assert package_of("sdk/bad/deep/a.py", depth=3) == "sdk/bad/deep"
    assert package_of("a.py") == "."


@pytest.mark.parametrize(
    "command",
    [
        "pip install conducto",
        "pip install --upgrade 'conducto[deploy]'",
        '"pip install conducto\\nconducto login"',
        "pipx run conducto demo",
        "uvx conducto demo",
        "uv pip install conducto==1.0",
    ],
)
def test_command_that_installs_another_publishers_client_is_found(command: str) -> None:
    (found,) = foreign_installs("docs/page.md", f"Run:\n{command}\n")

    assert found.line == 2
    assert "conducto-pipelines" in found.remedy


@pytest.mark.parametrize(
    "command",
    [
        "pip install conducto-pipelines",
        "pip install 'conducto-pipelines[deploy]'",
        "pip install ./conducto",
        "uvx --from conducto-pipelines conducto demo",
        "run conducto demo",
        'install_pip=["conducto"]',
    ],
)
def test_command_that_installs_our_distribution_is_fine(command: str) -> None:
    assert list(foreign_installs("docs/page.md", command)) == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def look(): ...", ["look"]),
        ("class A:\n    async def _keep(self): ...", ["_keep"]),
        ("def outer():\n    def note(): ...", ["note"]),
        ("def read_note(): ...\ndef keep_file(): ...", []),
    ],
)
def test_functions_whose_names_say_nothing_are_found(source: str, names: list[str]) -> None:
    assert [one.found for one in empty_names("core/x.py", ast.parse(source))] == names
    assert list(empty_names("tests/x.py", ast.parse(source))) == []


DOCUMENTED = '''
class Base:
    inherited = 1

class Documented(Base):
    """A class.

    Attributes:
        inherited: Of the base.
        given: By the constructor.
        field: Annotated.
        computed (int): A property,
            with a second line: which is text.
        missing: Renamed since.
    """

    field: int

    def __init__(self, given):
        self.given = given

    @property
    def computed(self): ...
'''


def test_documented_attributes_that_do_not_exist_are_found() -> None:
    known: defaultdict[str, list[Class]] = defaultdict(list)
    for one in classes("core/x.py", ast.parse(DOCUMENTED)):
        known[one.name].append(one)

    assert [(one.line, one.found) for one in missing_attributes(known)] == [(14, "missing")]


def test_classes_that_name_each_other_as_bases_are_read_once() -> None:
    source = 'class A(B):\n    """A.\n\n    Attributes:\n        x: No.\n    """\nclass B(A): ...'
    known = {one.name: [one] for one in classes("core/x.py", ast.parse(source))}

    assert [one.found for one in missing_attributes(known)] == ["x"]
