"""Validation of node parameters, and its messages."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conducto.wire import fields, limits
from support.laws import law

SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "\u00b5s": 1e-6,
    "\u03bcs": 1e-6,
    "ms": 1e-3,
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86400,
    "w": 604800,
    "mm": 2592000,
    "y": 31536000,
}


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        pytest.param(90, 90.0, id="a number is seconds"),
        pytest.param(0.25, 0.25, id="a fraction of a second"),
        pytest.param("1h30m", 5400.0, id="parts add up"),
        pytest.param("30m1h", 5400.0, id="in any order"),
        pytest.param("1.5d", 129600.0, id="a fraction of a day"),
        pytest.param("2.s", 2.0, id="a number may end in its point"),
        pytest.param(".5s", 0.5, id="or begin with it"),
        pytest.param("-5s", 5.0, id="a leading minus is ignored"),
        pytest.param("1m1mm", 2592060.0, id="m is minutes, mm is months"),
        pytest.param("1m1ms", 60.001, id="m is not the beginning of ms"),
    ],
)
def test_a_duration_as_it_is_written(written, seconds):
    assert fields.parse_duration(written) == seconds


@pytest.mark.parametrize(("unit", "seconds"), SECONDS.items())
def test_every_unit(unit, seconds):
    assert fields.parse_duration(f"3{unit}") == pytest.approx(3 * seconds)


PARTS = st.lists(
    st.tuples(st.integers(0, 10**6), st.sampled_from(sorted(SECONDS))), min_size=1, max_size=5
).filter(lambda parts: any(number for number, _ in parts))


@law(60)
@given(PARTS)
def test_a_duration_is_the_sum_of_its_parts(parts):
    text = "".join(f"{number}{unit}" for number, unit in parts)

    seconds = fields.parse_duration(text)

    assert math.isclose(seconds, sum(number * SECONDS[unit] for number, unit in parts))


@law(150)
@given(st.one_of(st.text(max_size=12), st.text(alphabet="0123456789.smhdwy -", max_size=8)))
def test_any_text_is_a_positive_duration_or_is_rejected(text):
    response = response_to(text)

    if isinstance(response, str):
        assert re.match(r"max_time (has an unknown unit|is an invalid|must be) ", response)
    else:
        assert 0 < response < math.inf


def response_to(text):
    try:
        return fields.parse_duration(text)
    except ValueError as error:
        return str(error)


NO_DURATION = (
    "max_time is an invalid duration: {!r}; write a number of seconds, or a text such as '90s'"
)
HUGE = 10**400


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param("", NO_DURATION.format(""), id="no text"),
        pytest.param("-", NO_DURATION.format("-"), id="a minus alone"),
        pytest.param("90", NO_DURATION.format("90"), id="a text without a unit"),
        pytest.param("1 h", NO_DURATION.format("1 h"), id="a blank"),
        pytest.param("1h 30m", NO_DURATION.format("1h 30m"), id="a blank between parts"),
        pytest.param("banana", NO_DURATION.format("banana"), id="no number"),
        pytest.param("1h30", NO_DURATION.format("1h30"), id="a number left over"),
        pytest.param("--5s", NO_DURATION.format("--5s"), id="two minuses"),
        pytest.param("1e3s", "max_time has an unknown unit 'e' in '1e3s'", id="an exponent"),
        pytest.param("10x", "max_time has an unknown unit 'x' in '10x'; units are ns us ms s m h d"
                     " w mm y", id="an unknown unit"),
        pytest.param("1H", "max_time has an unknown unit 'H' in '1H'", id="a capital letter"),
        pytest.param(0, "max_time must be above 0, got 0", id="zero"),
        pytest.param("0s", "max_time must be above 0, got '0s'", id="zero as text"),
        pytest.param(-1, "max_time must be above 0, got -1", id="negative"),
        pytest.param(math.inf, "max_time must be a finite number, got inf", id="endless"),
        pytest.param(math.nan, "max_time must be a finite number, got nan", id="not a number"),
        pytest.param(HUGE, "max_time must be a finite number, got 1000", id="beyond a float"),
        pytest.param("9" * 400 + "y", "max_time must be a finite number, got '999", id="as text"),
        pytest.param(True, "max_time must be seconds or a text such as '1h30m', got T", id="bool"),
        pytest.param([1], "max_time must be seconds or a text such as '1h30m', got [1]", id="list"),
    ],
)  # fmt: skip
def test_invalid_duration_is_rejected(value, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        fields.parse_duration(value)


@pytest.mark.parametrize("value", [1, 0.25, 1e6])
def test_an_amount_is_a_number_above_zero(value):
    checked = fields.check_amount("cpu", value)

    assert (checked, type(checked)) == (value, float)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "mem must be above 0, got 0"),
        (-2.5, "mem must be above 0, got -2.5"),
        (math.inf, "mem must be a finite number, got inf"),
        (math.nan, "mem must be a finite number, got nan"),
        (HUGE, "mem must be a finite number, got 1000"),
        ("2", "mem must be a number above 0, got '2'"),
        (True, "mem must be a number above 0, got True"),
        (None, "mem must be a number above 0, got None"),
    ],
)
def test_invalid_amount_is_rejected(value, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        fields.check_amount("mem", value)


@pytest.mark.parametrize("value", [0, 1, 4, 8, 16])
def test_as_many_gpus_as_the_largest_machines_have(value):
    assert fields.check_gpu(value) == value


@pytest.mark.parametrize("value", [-1, 17, 1.0, True, "1", None])
def test_invalid_number_of_gpus_is_rejected(value):
    with pytest.raises(ValueError, match=r"^gpu must be a whole number from 0 to 16, got "):
        fields.check_gpu(value)


@pytest.mark.parametrize("value", [1, 1000])
def test_at_least_one_at_once(value):
    assert fields.check_max_concurrent(value) == value


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2"])
def test_invalid_max_concurrent_is_rejected(value):
    message = f"max_concurrent must be a whole number of at least 1, got {value!r}"

    with pytest.raises(ValueError, match="^" + re.escape(message)):
        fields.check_max_concurrent(value)


@pytest.mark.parametrize("value", ["new", "global"])
def test_the_two_reuse_contexts(value):
    assert fields.check_reuse_context(value) == value


@pytest.mark.parametrize("value", ["NEW", "", None, 1, ["new"]])
def test_invalid_reuse_context_is_rejected(value):
    with pytest.raises(ValueError, match=r"^container_reuse_context must be .* got "):
        fields.check_reuse_context(value)


@pytest.mark.parametrize("value", [[], ["--privileged"], ["-v", "/a:/b"], ("--shm-size=1g",)])
def test_arguments_for_the_engine_are_passed_on(value):
    assert fields.check_docker_run_args(value) == list(value)


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("--cpus", "set cpu="),
        ("--cpus=2", "set cpu="),
        ("--memory=1g", "set mem="),
        ("--network=host", "the nodes of a pipeline share a network"),
    ],
)
def test_arguments_that_we_set_ourselves_are_refused(value, advice):
    with pytest.raises(ValueError, match=f"^docker_run_args cannot .* got {value}; {advice}"):
        fields.check_docker_run_args(["-d", value])


def test_an_environment_that_a_shell_can_export_is_accepted():
    fields.check_env({"A": "", "_b1": "x\ny", "Ü".encode().hex(): "ü"} | {"PATH": "/bin"})


@pytest.mark.parametrize(
    ("env", "error", "message"),
    [
        ({1: "a"}, TypeError, "has int in env name 1 when str is required"),
        ({"A": 1}, TypeError, "has int in env value for A when str is required"),
        ({"A": None}, TypeError, "has NoneType in env value for A when str is required"),
        ({"1A": "a"}, ValueError, "env name '1A' is not an identifier"),
        ({"A-B": "a"}, ValueError, "env name 'A-B' is not an identifier"),
        ({"A\n": "a"}, ValueError, "env name 'A\\n' is not an identifier"),
        ({"": "a"}, ValueError, "env name '' is not an identifier"),
        ({"A": "a\0"}, ValueError, "env value of A holds a NUL character"),
        ({"A": "ä" * 65_535}, ValueError, "env value of A is too long: A=... has 131,072 bytes"),
    ],
)
def test_an_environment_that_no_shell_exports_is_refused(env, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        fields.check_env(env)


@pytest.mark.parametrize("command", ["true", "a\nb", "echo é", "x" * limits.MAX_COMMAND_BYTES])
def test_a_command_is_text(command):
    assert fields.check_command(command) is command


@pytest.mark.parametrize(
    ("command", "message"),
    [
        pytest.param("", "command is empty; write what to run, or 'true'", id="nothing"),
        pytest.param(" \n\t", "command is empty; write what to run, or 'true'", id="blanks"),
        pytest.param("a\0b", "command holds a NUL character", id="NUL"),
        pytest.param(None, "command must be text or a function, got None", id="None"),
        pytest.param(["ls"], "command must be text or a function, got ['ls']", id="a list"),
        pytest.param(
            "é" * (limits.MAX_COMMAND_BYTES // 2 + 1),
            f"command is {limits.MAX_COMMAND_BYTES + 2} bytes long, at most",
            id="too long, counted in bytes",
        ),
    ],
)
def test_invalid_command_is_rejected(command, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        fields.check_command(command)


def test_half_of_a_surrogate_pair_is_rejected():
    with pytest.raises(ValueError, match=r"^command holds '\\ud800', which is not a character"):
        fields.check_command("echo \ud800")
