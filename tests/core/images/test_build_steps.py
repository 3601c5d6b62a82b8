"""The steps of a build elsewhere, from lines that Docker 26.1 with BuildKit printed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from conducto_core.images.build_plan import MAX_STEPS, steps_in
from conducto_core.run.model.responses import ImageStep

FRESH = r"""1795682947.145739047 ==> building
1795682947.512088225 #1 [internal] load build definition from Dockerfile
1795682947.513075899 #1 DONE 0.1s
1795682947.739330039 #4 [one 1/2] FROM docker.io/library/base:1
1795682947.742126783 #4 DONE 0.1s
1795682947.743295837 #5 [one 2/2] RUN echo hello && sleep 1.2 && printf '#5 DONE 3s\nno newline'
1795682949.388123179 #5 DONE 1.8s
1795682949.646570439 #7 [stage-1 3/4] RUN <<EOF (echo here...)
1795682950.771564825 #7 DONE 1.3s
1795682951.238765320 #9 DONE 0.0s
1795682951.256488548 ==> copying
1795682951.781890304 #5 [2/3] COPY . /mnt/conducto
1795682951.782885750 #5 CACHED
1795682952.065930015 ==> extending
1795682952.981188740 ==> done
"""
FAILED = """1795682953.775132141 ==> building
1795682954.236282037 #1 [internal] load build definition from Dockerfile
1795682954.237334027 #1 DONE 0.0s
1795682954.241566873 #4 [b 1/2] FROM docker.io/library/base:1
1795682954.242370602 #4 CACHED
1795682954.243178057 #5 [a 2/2] RUN sleep 3; echo a1
1795682955.502533751 #5 CANCELED
1795682955.503755013 #6 [b 2/2] RUN sleep 1; echo b1; exit 3
1795682955.504 #6 ERROR: process "/bin/sh -c exit 3" did not complete successfully: exit code: 3
1795682955.567354330 ERROR: failed to solve: process "/bin/sh -c exit 3" did not complete
1795682955.823895036 ==> failed
"""


def took(step: ImageStep) -> float | None:
    """Return seconds, to the tenth."""
    if step.started is None or step.ended is None:
        return None
    return round(step.ended - step.started, 1)


def test_states_and_their_steps_are_ordered_and_timed() -> None:
    steps = steps_in(FRESH)

    assert [(step.name[:17], step.within, took(step), step.cached) for step in steps] == [
        ("building", None, 4.1, False),
        ("[one 1/2] FROM do", "building", 0.1, False),
        ("[one 2/2] RUN ech", "building", 1.8, False),
        ("[stage-1 3/4] RUN", "building", 1.3, False),
        ("copying", None, 0.8, False),
        ("[2/3] COPY . /mnt", "copying", 0.0, True),
        ("extending", None, 0.9, False),
    ]
    assert {step.error for step in steps} == {None}


def test_failed_step_has_an_error_and_interrupted_steps_are_not_done() -> None:
    building, base, stopped, failed = steps_in(FAILED)

    assert str(building.error).startswith("ERROR: failed to solve: process")
    assert (base.cached, base.error) == (True, None)
    assert stopped.error == "stopped, because another step failed"
    assert failed.error == (
        'process "/bin/sh -c exit 3" did not complete successfully: exit code: 3'
    )
    assert failed.within == "building"


def test_running_step_has_no_end() -> None:
    output = FRESH[: FRESH.index("1795682949.388123179 #5 DONE")]

    building, base, run = steps_in(output)

    assert (building.ended, run.ended, run.started) == (None, None, 1795682947.743295837)
    assert base.ended is not None


def test_renamed_step_continues_until_it_ends_again() -> None:
    output = "1 ==> building\n2 #4 [1/2] FROM base\n3 #4 DONE 0.1s\n4 #4 [1/2] FROM base\n"

    assert steps_in(output)[1].ended is None
    assert (steps_in(output + "9 #4 DONE 6.5s\n")[1].started, len(steps_in(output))) == (2.5, 2)


def test_the_numbers_of_one_image_are_not_those_of_the_next() -> None:
    output = "1 ==> building\n2 #5 [1/1] RUN a\n3 ==> copying\n4 #5 [1/1] RUN b\n5 #5 ERROR: no\n"

    first, second = (step for step in steps_in(output) if step.within)

    assert (first.name, first.ended, first.error) == ("[1/1] RUN a", 3.0, None)
    assert (second.name, second.error) == ("[1/1] RUN b", "no")


def test_failed_state_without_steps_uses_its_last_line_as_error() -> None:
    pull = "1 ==> pulling\n2 Error response from daemon: no such image\n3 ==> failed\n"
    silent = "1 ==> pulling\n3 ==> failed\n"

    assert steps_in(pull)[0].error == "Error response from daemon: no such image"
    assert steps_in(silent)[0].error == "the build failed"


def test_warning_of_one_state_is_not_the_error_of_the_next() -> None:
    output = (
        "1 ==> building\n2 conducto: x was not kept for other builds\n3 ==> copying\n4 ==> failed\n"
    )

    assert [step.error for step in steps_in(output)] == [None, "the build failed"]


def test_reused_steps_of_an_earlier_build_are_cached() -> None:
    output = "1 an earlier build made this already: installed\n2 ==> copying\n"

    assert [(step.name, step.cached) for step in steps_in(output)] == [
        ("installing", True),
        ("copying", False),
    ]


def test_times_of_a_machine_that_counts_whole_seconds_are_times() -> None:
    assert steps_in("1754000000.N ==> building\n")[0].started == 1754000000.0


def test_steps_of_a_build_are_bounded_and_those_that_are_known_still_end() -> None:
    begun = "".join(f"1 #{n} [{n}/900] RUN x\n" for n in range(900))

    steps = steps_in("0 ==> building\n" + begun + "2 #5 DONE 0.5s\n3 ==> done\n")

    assert len(steps) == MAX_STEPS
    assert steps[6].ended == 2.0
    assert all(step.ended is not None for step in steps)


_WORDS = st.sampled_from(
    [
        "==> building",
        "==> failed",
        "==> done",
        "==> ",
        "#1 [1/2] RUN x",
        "#1 DONE 1.5s",
        "#1 DONE 999999999999s",
        "#1 CACHED",
        "#1 ERROR: no",
        "#1 ERROR",
        "#2 [internal] x",
        "#2 CANCELED",
        "ERROR: x",
        "an earlier build made this already: built",
    ]
)
_TIMES = st.sampled_from(["1", "2.5", "3.N", "", "-1", "9" * 40, "1e9", "٣"])
_LINES = st.one_of(
    st.text(),
    st.builds("{} {}".format, _TIMES, _WORDS),
    st.builds("{} {}{}".format, _TIMES, _WORDS, st.text()),
    st.builds("{} #{} [{}".format, _TIMES, st.integers(0, 1000), st.text()),
)


@given(st.lists(_LINES, max_size=600).map("\n".join))
def test_arbitrary_build_output_yields_bounded_steps(output: str) -> None:
    steps = steps_in(output)

    assert len(steps) <= MAX_STEPS
    assert all(len(step.name) <= 500 and len(step.error or "") <= 500 for step in steps)


@given(st.integers(0, len(FAILED)), st.integers(0, len(FRESH)))
def test_cut_text_has_the_steps_before_the_cut(one: int, other: int) -> None:
    for text, end in ((FAILED, one), (FRESH, other)):
        whole, part = steps_in(text), steps_in(text[:end])
        assert len(part) <= len(whole)
        assert [step.within for step in part] == [step.within for step in whole[: len(part)]]
