"""Output in the live view: colours are shown, nothing else of a terminal's codes has an effect."""

import pytest

from conducto_cli.text.text import TextSpan, coloured_lines, fit, text_of, wrap
from conducto_cli.view.screen import coloured


def painted(*lines: str) -> list[str]:
    return [coloured(line) for line in coloured_lines(lines)]


def test_colours_of_output_are_shown() -> None:
    assert painted("a \x1b[1;31mbad\x1b[0m b") == ["a \x1b[1;31mbad\x1b[0m b"]


def test_colour_applies_until_it_is_reset() -> None:
    assert painted("\x1b[31mone", "two \x1b[1mbold\x1b[m three") == [
        "\x1b[31mone\x1b[0m",
        "\x1b[31mtwo \x1b[0m\x1b[31;1mbold\x1b[0m three",
    ]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("a\x1b[2Jb", "ab"),
        ("\x1b]52;c;aGk=\x07x", "x"),
        ("\x1b]0;title\x1b\\x", "x"),
        ("\x1b]8;;https://x.invalid", ""),
        ("10%\r50%\r100%\r", "100%"),
        ("a\tb", "a       b"),
        ("bell\x07 \x9b31m", r"bell\x07 \x9b31m"),
        ("\x1b[?25ma", "a"),
        ("\x1b", ""),
    ],
)
def test_nothing_else_has_an_effect(line: str, text: str) -> None:
    assert painted(line) == [text]


@pytest.mark.parametrize(
    ("codes", "style"),
    [
        ("0;32", "32"),
        ("1;0", ""),
        ("38;5;0", "38;5;0"),
        ("31;38;2;0;0;9;1", "31;38;2;0;0;9;1"),
        ("38;5;10", "38;5;10"),
        ("00", ""),
    ],
)
def test_reset_among_codes_clears_the_codes_before_it(codes: str, style: str) -> None:
    ((span,),) = coloured_lines([f"\x1b[{codes}mx"])

    assert span.sgr == style


def test_cut_and_wrapped_lines_keep_their_colours() -> None:
    (line,) = coloured_lines(["\x1b[32m0123456789\x1b[0mab"])

    assert fit(line, 6) == (TextSpan("01234…", sgr="32"),)
    assert [text_of(part) for part in wrap(line, 5)] == ["01234", "56789", "ab"]
    assert wrap(line, 5)[1][0].sgr == "32"
