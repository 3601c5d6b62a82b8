"""Secrets in the output of commands are hidden, however the output is cut into chunks."""

import base64
import html
import json
import shlex
import time
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conducto_core.command.masking import MASK, PIECE, Mask, can_be_masked

TOKEN = "tok/3n+with='odd' signs&%"
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nshort\n-----END KEY-----\n"
LONG = "".join(f"{i * 7919 % 10007:05d}" for i in range(1000))


def masked(values, *chunks: bytes) -> bytes:
    stream = Mask(values).stream()
    return b"".join(stream.feed(chunk) for chunk in chunks) + stream.finish()


def in_chunks(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def test_a_value_is_replaced_and_the_rest_stays() -> None:
    out = masked([TOKEN], f"a {TOKEN} b {TOKEN}\n".encode())

    assert out == b"a ******** b ********\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_a_value_is_found_across_chunks(size: int) -> None:
    out = masked([TOKEN], *in_chunks(f"a {TOKEN} b\n".encode(), size))

    assert out == b"a ******** b\n"


@pytest.mark.parametrize("size", [1, 100, 5000])
def test_a_long_value_leaves_one_mask(size: int) -> None:
    out = masked([LONG], *in_chunks(f"<{LONG}>".encode(), size))

    assert out == b"<********>"


def test_each_of_two_values_side_by_side_leaves_its_mask() -> None:
    assert masked(["first-value", "second-value"], b"first-valuesecond-value") == MASK * 2


@pytest.mark.parametrize("before", [b"", b"a", b"ab", b"abc"])
@pytest.mark.parametrize("behind", [b"", b"\n", b"behind it"])
def test_base64_of_a_text_with_the_value_in_it_hides_the_value(
    before: bytes, behind: bytes
) -> None:
    encoded = base64.b64encode(before + TOKEN.encode() + behind)

    out = masked([TOKEN], encoded)

    assert MASK in out
    kept = [part for part in out.split(MASK) if part]
    assert all(not _shows(part, TOKEN.encode()) for part in kept)


def _shows(part: bytes, value: bytes) -> bool:
    """Say whether three bytes of the value in a row can be read from a part of an encoding."""
    whole = [base64.b64encode(b"\0" * n + value)[4 * (n > 0) : -4] for n in range(3)]
    return any(part[i : i + 4] in text for text in whole for i in range(len(part) - 4))


def test_base64_with_line_breaks_is_hidden() -> None:
    assert masked([LONG], base64.encodebytes(LONG.encode())) == MASK + b"\n"


def test_base64_for_addresses_is_hidden() -> None:
    value = "~~~???>>>~~~???"

    assert masked([value], base64.urlsafe_b64encode(value.encode())) == MASK


@pytest.mark.parametrize(
    "disguise",
    [
        quote(TOKEN),
        quote(TOKEN, safe=""),
        "tok/3n%2bwith%3d%27odd%27%20signs%26%25",
        quote_plus(TOKEN),
        shlex.quote(TOKEN)[1:-1],
        TOKEN.replace("'", "'\\''"),
    ],
)
def test_a_quoted_value_is_hidden(disguise: str) -> None:
    assert masked([TOKEN], disguise.encode()) == MASK


@pytest.mark.parametrize("write", [json.dumps, repr, lambda text: json.dumps(text)[1:-1]])
def test_a_value_of_several_lines_is_hidden_as_programs_show_it(write) -> None:
    out = masked([KEY], write(KEY.strip()).encode())

    assert out.strip(b"\"'") == MASK


@pytest.mark.parametrize(
    "write",
    [
        repr,
        ascii,
        lambda text: repr(text.encode()),
        lambda text: text.encode("unicode_escape").decode(),
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        lambda text: json.dumps(text).replace("/", "\\/"),
        lambda text: json.dumps(text).replace("\\u00e9", "\\u00E9").replace("\\u00fc", "\\u00FC"),
    ],
    ids=["repr", "ascii", "bytes", "unicode_escape", "json", "json utf-8", "php", "upper"],
)
@pytest.mark.parametrize(
    "value", ["pässwörd", "it's 'quöted'", 'say "ü" twice', "tab\tübung", "a\\é\\b"]
)
def test_an_escaped_value_is_hidden(write, value: str) -> None:
    for before, after in (("", ""), ("before ", " after"), ("' \"", "' \"")):
        out = masked([value], write(f"{before}{value}{after}").encode())

        assert out.count(MASK) == 1
        assert len(out) <= len(write(f"{before}{after}{MASK.decode()}").encode())


@pytest.mark.parametrize("size", [3, 10_000])
@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode().hex(),
        lambda text: text.encode().hex().upper(),
        lambda text: text.encode().hex(":"),
        lambda text: text.encode().hex(" ").upper(),
        lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-16-be"),
        lambda text: base64.b64encode(text.encode("utf-16-le")),
        str.upper,
        str.lower,
        str.swapcase,
        str.capitalize,
        html.escape,
        lambda text: html.escape(text, quote=False),
        lambda text: html.escape(text).replace("&#x27;", "&#039;"),
        lambda text: html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    ],
)
def test_an_encoded_value_is_hidden(encode: Callable[[str], str | bytes], size: int) -> None:
    for value in (TOKEN, "<Pass & \"word\" of 'Ann'>", "Пароль-42", "s3cret", LONG):
        encoded = encode(value)
        data = encoded if isinstance(encoded, bytes) else encoded.encode()

        assert masked([value], *in_chunks(data, size)) == MASK, value


def test_hexadecimal_dump_with_line_breaks_is_hidden() -> None:
    plain = LONG.encode().hex()
    dump = "\n".join(plain[i : i + 60] for i in range(0, len(plain), 60))

    assert masked([LONG], dump.encode()) == MASK


def test_other_cases_of_a_value_of_five_characters_are_shown() -> None:
    assert masked(["admin"], b"ADMIN admin Admin") == b"ADMIN ******** Admin"


def test_lines_of_a_value_are_hidden_one_by_one() -> None:
    out = masked([KEY], b"x MIIEvQIBADANBgkqhkiG9w0 y\n  -----END KEY-----\nshort\n")

    assert out == b"x ******** y\n  ********\nshort\n"
    assert masked(["first\nsix666\r\nlast55"], b"first six666 last55") == b"first ******** ********"
    assert masked(["first\näöüäöü"], "äöüäöü".encode()) == MASK
    assert masked(["first\näöüäö"], "äöüäö".encode()) == "äöüäö".encode()


def test_a_value_of_several_lines_leaves_one_mask() -> None:
    assert masked([KEY], f"<{KEY}>".encode()) == b"<********\n>"


@pytest.mark.parametrize("value", ["", "abc", " abc ", "\n\n\n\n\n"])
def test_a_short_value_is_not_masked(value: str) -> None:
    assert not can_be_masked(value)
    assert not Mask([value])
    assert masked([value], b"abc\n\n\n\n\n\n") == b"abc\n\n\n\n\n\n"


def test_four_characters_are_enough() -> None:
    assert masked(["abcd"], b"xabcdabcx") == b"x********abcx"


def test_the_longest_value_wins() -> None:
    assert masked(["pass", "password", "password-2"], b"password-2 password-3 pas") == (
        b"******** ********-3 pas"
    )


def test_partial_value_is_shown_when_the_text_continues_differently() -> None:
    stream = Mask(["abcdefgh"]).stream()

    first, second = stream.feed(b"1 abcdef"), stream.feed(b"XY 2")

    assert (first, second) == (b"1 ", b"abcdefXY 2")


def test_partial_value_is_shown_at_the_end() -> None:
    assert masked(["aaaa"], b"1 aa", b"a") == b"1 aaa"


def test_a_line_is_not_held_back() -> None:
    assert Mask([TOKEN, KEY, LONG]).stream().feed(b"a line\n") == b"a line\n"


def test_at_most_one_chunk_is_held_back() -> None:
    stream = Mask([LONG]).stream()

    stream.feed(LONG.encode()[:-1])

    assert len(stream._held) < PIECE + 8


def test_streams_do_not_know_of_each_other() -> None:
    mask = Mask(["abcdefgh"])
    out, err = mask.stream(), mask.stream()

    shown = out.feed(b"abcd") + err.feed(b"efgh\n")

    assert shown == b"efgh\n"
    assert out.finish() == b"abcd"


def test_undecodable_bytes_pass() -> None:
    data = bytes(range(256)) * 3

    assert masked([TOKEN], data) == data


def test_a_text_is_masked_as_a_whole() -> None:
    assert Mask([TOKEN]).text(f"curl -H '{TOKEN}' ü\udc80") == "curl -H '********' ü\udc80"


def test_mask_does_not_reveal_its_value() -> None:
    assert TOKEN not in repr(Mask([TOKEN]))


def plain(values: list[str], data: bytes) -> bytes:
    """Mask in the simplest way: at each place the longest value that begins there."""
    known = sorted((value.encode() for value in values), key=len, reverse=True)
    out, at = b"", 0
    while at < len(data):
        found = next((v for v in known if data.startswith(v, at)), None)
        out += data[at : at + 1] if found is None else MASK
        at += 1 if found is None else len(found)
    return out


# Neither spaces, which are stripped, nor enough characters for a disguise to come about.
values_of_few_letters = st.lists(st.text("ab", min_size=4, max_size=7), min_size=1, max_size=4)


@given(
    values=values_of_few_letters, data=st.text("abc", max_size=60), cuts=st.sets(st.integers(1, 59))
)
def test_any_values_are_masked_in_any_chunks(values, data: str, cuts: set[int]) -> None:
    whole = data.encode()
    bounds = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]

    out = masked(values, *(whole[a:b] for a, b in pairwise(bounds)))

    assert out == plain(values, whole)


@given(value=st.text(min_size=4, max_size=400), size=st.integers(1, 50))
def test_no_value_survives(value: str, size: int) -> None:
    if not can_be_masked(value) or set(value.strip()) <= {"*"}:
        return
    data = f"<{value}>|{quote(value.strip())}|".encode()

    out = masked([value], *in_chunks(data, size))

    assert value.strip().encode() not in out.replace(MASK, b"")


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        ("a" * 65535 + "b", b"a" * 64 + b"c"),
        ("ab" * 30000, b"ab" * 63 + b"a"),
        (LONG * 10, LONG.encode()[:127]),
    ],
)
def test_the_work_grows_with_the_output_only(value: str, unit: bytes) -> None:
    mask = Mask([value])
    taken = []
    for count in (1000, 8000):
        stream = mask.stream()
        begin = time.process_time()
        stream.feed(unit * count)
        taken.append(time.process_time() - begin)

    assert taken[1] < 8 * 3 * taken[0] + 0.05
