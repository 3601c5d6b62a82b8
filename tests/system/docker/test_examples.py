"""Every example runs as its README says, and does what it says."""

from __future__ import annotations

import itertools
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.running import Person, Run, person_at
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
EXAMPLES = {script.parent.name: script for script in sorted(ROOT.glob("examples/*/pipeline.py"))}
PNG = b"\x89PNG\r\n\x1a\n"

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    default = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    ensure(dict.fromkeys(["python:3.11-slim", default]))
    with person_at(tmp_path_factory.mktemp("examples")) as someone:
        yield someone


def done(run: Run) -> Run:
    assert run.code == 0, run.stdout + run.stderr
    return run


def table_rows(text: str) -> list[list[str]]:
    """Return the cells of the markdown table in a text, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


# ---- all of them ---------------------------------------------------------------------------


@pytest.mark.parametrize("script", EXAMPLES.values(), ids=EXAMPLES)
def test_without_arguments_the_tree_is_printed(person: Person, script: Path) -> None:
    printed = person.print_tree(script)

    assert printed.returncode == 0, printed.stderr
    assert re.search(r"^\d+ nodes, \d+ images?$", printed.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_described(name: str) -> None:
    overview = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")

    assert EXAMPLES[name].with_name("README.md").is_file()
    assert f"(../examples/{name}/README.md)" in overview


# ---- hello ---------------------------------------------------------------------------------


def test_hello_greets_any_name(person: Person) -> None:
    name = """Zoë O'Hara, called "$HOME" """

    run = done(person.run(EXAMPLES["hello"], f"--name={name}"))

    assert run.output("/Greetings/Shell") == f"Hello, {name}, from a shell.\n"
    assert run.output("/Greetings/Python").startswith(f"Hello, {name}, from Python 3.")
    assert run.output("/Good bye") == f"Good bye, {name}. Both have spoken.\n"
    assert set(run.states.values()) == {"done"}


def test_hello_says_good_bye_after_both_greetings(person: Person) -> None:
    run = done(person.run(EXAMPLES["hello"]))

    (last,) = run.attempts("/Good bye")
    greetings = [run.attempts(path)[0] for path in ("/Greetings/Shell", "/Greetings/Python")]
    assert all(greeting["ended"] <= last["started"] for greeting in greetings)


# ---- parallel_tests ------------------------------------------------------------------------


def test_suites_pass_and_the_database_is_removed(person: Person) -> None:
    run = done(person.run(EXAMPLES["parallel_tests"]))

    assert set(run.states.values()) == {"done"}
    assert run.children("/Work/Tests") == ["orders", "prices", "shelves"]
    assert "Ran 2 tests" in run.output("/Work/Tests/orders", "stderr")
    assert "removed" in run.output("/Clean up")
    assert list(run.data.iterdir()) == []


@pytest.fixture(scope="module")
def broken(person: Person) -> Run:
    return person.run(EXAMPLES["parallel_tests"], "--broken")


def test_a_failing_suite_fails_the_pipeline_but_no_other_suite(broken: Run) -> None:
    assert broken.code == 1
    assert broken.states == {
        "/": "error",
        "/Work": "error",
        "/Work/Set up": "done",
        "/Work/Tests": "error",
        "/Work/Tests/orders": "done",
        "/Work/Tests/prices": "error",
        "/Work/Tests/shelves": "done",
        "/Clean up": "done",
    }
    (attempt,) = broken.attempts("/Work/Tests/prices")
    assert (attempt["cause"], attempt["exit_code"]) == ("exit_code", 1)
    assert "AssertionError: 25000 != 2500" in broken.output("/Work/Tests/prices", "stderr")


def test_the_clean_up_runs_although_a_suite_failed(broken: Run) -> None:
    assert "stock.sqlite" in broken.output("/Clean up")
    assert list(broken.data.iterdir()) == []


def test_failure_report_contains_the_next_commands(broken: Run) -> None:
    report = broken.stdout.partition("✘")[2]

    for needed in (
        "/Work/Tests/prices",
        "exit 1",
        "pipeline.py:",
        "$ python -m unittest -v test_prices",
        f"conducto logs {broken.id} /Work/Tests/prices",
        f"conducto rerun {broken.id} --failed",
        f"conducto debug {broken.id} /Work/Tests/prices",
    ):
        assert needed in report


# ---- native_functions ----------------------------------------------------------------------


def test_arguments_of_every_kind_arrive_in_the_function(person: Person) -> None:
    run = done(person.run(EXAMPLES["native_functions"], "--passengers=3", "--leaving=2027-12-31"))

    assert run.output("/Plan/Outward") == "120.5 km for 3, discount 0.25: 37.96\n"
    assert run.output("/Plan/Return") == "98 km for 3, discount None: 65.86\n"
    assert run.output("/Plan/Timetable").splitlines() == [
        "2027-12-31 08:30  Old Town",
        "2027-12-31 09:12  Bridge, north side",
        "2027-12-31 09:29  Harbour",
    ]
    assert run.output("/Total") == '"A day\'s outing: 103.82 is within 120.00"\n'


def test_invalid_argument_is_reported_before_anything_runs(person: Person) -> None:
    run = person.run(EXAMPLES["native_functions"], "--passengers=many")

    assert run.code == 2
    assert "passengers" in run.stderr
    assert "'many'" in run.stderr
    assert run.stdout == ""


# ---- results -------------------------------------------------------------------------------


def test_functions_use_the_results_of_others(person: Person) -> None:
    run = done(person.run(EXAMPLES["results"]))

    shown = person.conducto("show", run.id, "/Simulate/rate 0.4").stdout
    best = json.loads(run.output("/Show"))

    assert best == {"rate": 0.4, "size": 99.973}
    assert '"size": ' in shown
    assert re.search(r"^  size +\S+ +from \S+ to \S+ +30 points$", shown, re.MULTILINE)
    assert "artifacts/+Simulate+rate 0.4/1/growth.svg" in shown
    assert "Growth of the population" in shown
    drawing = run.data / "artifacts" / "+Simulate+rate 0.4" / "1" / "growth.svg"
    assert drawing.read_text(encoding="utf-8").startswith("<svg ")


# ---- maps ----------------------------------------------------------------------------------


def test_a_map_tolerates_a_failure_and_collects_the_results(person: Person) -> None:
    run = done(person.run(EXAMPLES["maps"]))

    assert run.children("/Scores/Execute") == ["Denmark", "France", "Iceland", "Utopia"]
    assert run.states["/Scores/Execute/Utopia"] == "error"
    assert run.output("/Best") == "'France'\n"
    assert [json.loads(line) for line in run.output("/List").splitlines()] == [
        "Denmark: 51.0",
        "France: 174.8",
        "Iceland: 12.6",
        "no score",
    ]


# ---- cached_map ----------------------------------------------------------------------------


def ran(run: Run) -> list[str]:
    """Return the commands that were not from the cache, in the order of the tree."""
    attempts = {path: node["attempts"][-1] for path, node in run.nodes.items() if node["attempts"]}
    return [path for path, attempt in attempts.items() if attempt["container"] is not None]


def test_one_more_item_runs_one_command_and_the_reducer(person: Person) -> None:
    script = EXAMPLES["cached_map"]
    first = done(person.run(script))
    digits = [f"/Detectors/digit {digit}" for digit in range(3)]
    assert ran(first) == ["/Load", *digits, "/Report"]
    assert ran(done(person.run(script))) == []

    more = done(person.run(script, "--digits", "0 1 2 7"))
    assert ran(more) == ["/Detectors/digit 7", "/Report"]
    assert more.output(digits[1]) == first.output(digits[1])
    rows = [line.split() for line in more.output("/Report").splitlines()]
    recalls = {digit: float(recall) for digit, *_, recall in rows[:4]}
    assert sorted(recalls) == ["0", "1", "2", "7"]
    assert all(recall > 0.7 for recall in recalls.values())
    assert (more.data / "digits.csv").read_text().count("\n") == 1796

    origins = person.conducto("lineage", more.id, "digits.csv").stdout
    assert f"from {first.id}" in origins
    verified = person.conducto("cache", "verify", more.id, digits[0])
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "has the same result and files" in verified.stdout


# ---- lazy_fanout ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weighed(person: Person) -> Run:
    return done(person.run(EXAMPLES["lazy_fanout"]))


def test_there_is_a_node_for_each_section_of_the_image(weighed: Run) -> None:
    rows = table_rows((weighed.data / "report.md").read_text(encoding="utf-8"))

    sections = weighed.children("/Sections/Execute")
    assert {"admin", "libs", "utils"} <= set(sections)
    assert sorted(row[0].replace("/", "-") for row in rows) == sections
    for section, packages, kib in rows:
        said = weighed.output(f"/Sections/Execute/{section.replace('/', '-')}")
        assert said == f"{section}: {packages} packages, {kib} KiB\n"


def test_result_of_the_first_lazy_determines_the_second(weighed: Run) -> None:
    rows = table_rows((weighed.data / "report.md").read_text(encoding="utf-8"))

    sizes = [int(row[2]) for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    assert weighed.children("/Largest/Execute") == [row[0].replace("/", "-") for row in rows[:3]]


def test_a_generated_serial_runs_in_order(weighed: Run) -> None:
    assert weighed.nodes["/Largest/Execute"]["type"] == "Serial"
    assert weighed.nodes["/Sections/Execute"]["type"] == "Parallel"
    names = weighed.children("/Largest/Execute")
    attempts = [weighed.attempts(f"/Largest/Execute/{name}")[0] for name in names]
    assert all(a["ended"] <= b["started"] for a, b in itertools.pairwise(attempts))


def test_the_printed_tree_is_left_out_of_the_output(weighed: Run) -> None:
    assert "__conducto_serialization" not in weighed.output("/Sections/Generate")


# ---- container_state -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(person: Person) -> Run:
    return done(person.run(EXAMPLES["container_state"]))


def test_group_keeps_its_container_to_itself(built: Run) -> None:
    groups = {}
    for edition in ("full", "small"):
        start = f"/Editions/{edition}/"
        steps = [path for path in built.nodes if path.startswith(start) and built.attempts(path)]
        inside = [path for path in steps if not path.endswith("Try out")]
        groups[edition] = {built.container(path) for path in inside}
        assert built.container(f"{start}Try out") not in groups[edition]
    assert len(groups["full"]) == len(groups["small"]) == 1
    assert groups["full"] != groups["small"]


def test_single_node_gets_an_unused_container(built: Run) -> None:
    others = [path for path in built.nodes if built.attempts(path) and path != "/Bench is clean"]

    fresh = built.container("/Bench is clean")

    assert fresh not in {built.container(path) for path in others}


def test_nodes_of_a_group_take_turns_even_in_a_parallel(built: Run) -> None:
    names = built.children("/Editions/full/Parts")
    attempts = [built.attempts(f"/Editions/full/Parts/{name}")[0] for name in names]

    attempts.sort(key=lambda attempt: attempt["started"])

    assert len(attempts) == 3
    assert all(a["ended"] <= b["started"] for a, b in itertools.pairwise(attempts))


def test_a_group_can_be_built_again(person: Person) -> None:
    run = done(person.run(EXAMPLES["container_state"]))

    person.ask("reset", run.id, "/Editions/full", "--watch")

    assert [attempt["state"] for attempt in run.attempts("/Editions/full/Pack")] == ["done"] * 2
    assert len(run.attempts("/Editions/small/Pack")) == 1


def test_each_edition_has_its_own_parts_only(built: Run) -> None:
    length = "100 miles are 160.9 kilometres\n"

    assert built.output("/Editions/small/Try out") == length
    assert built.output("/Editions/full/Try out") == (
        f"{length}100 degrees Fahrenheit are 37.8 degrees Celsius\n100 pounds are 45.4 kilograms\n"
    )
    assert sorted(path.name for path in built.data.iterdir()) == ["full.pyz", "small.pyz"]


# ---- docker_image --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables(person: Person) -> Run:
    return done(person.run(EXAMPLES["docker_image"]))


def test_code_is_added_to_an_image_made_with_build_arguments(tables: Run) -> None:
    lines = tables.output("/Code added").splitlines()

    assert lines[0] == "style grid, from /mnt/conducto"
    assert lines[1].startswith("+--")
    assert sum(line.startswith("|") for line in lines) == 1 + 5


def test_a_function_is_found_where_the_dockerfile_put_it(tables: Run) -> None:
    lines = tables.output("/Code included").splitlines()

    assert lines[0] == "style github, from /srv/modules"
    assert len(lines) == 1 + 2 + 3


def test_an_image_is_made_from_a_text(tables: Run) -> None:
    assert tables.output("/Text") == "made with: dockerfile_text\nin the image\n"


# ---- data_and_cache ------------------------------------------------------------------------


def test_a_later_pipeline_finds_the_index_of_an_earlier_one(person: Person) -> None:
    first = done(person.run(EXAMPLES["data_and_cache"]))
    second = done(person.run(EXAMPLES["data_and_cache"], "--words=freedom,patent"))

    checksum = (first.data / "checksum").read_text(encoding="utf-8")
    assert re.fullmatch(rf"index {checksum} built from \d+ texts\n", first.output("/Index"))
    assert second.output("/Index") == f"index {checksum} already exists\n"
    assert second.children("/Words") == ["freedom", "patent"]


def test_nodes_of_a_pipeline_share_its_data_with_any_program(person: Person) -> None:
    run = done(person.run(EXAMPLES["data_and_cache"], "--words=warranty,zebra"))

    listed, exists, *contents = run.output("/Summary").splitlines()
    found = {one["word"]: one["licences"] for one in map(json.loads, contents)}
    assert json.loads(listed) == ["found/warranty.json", "found/zebra.json"]
    assert exists == "true"
    assert {"Apache-2.0", "GPL-3"} <= set(found["warranty"])
    assert found["zebra"] == []


def test_a_node_that_is_skipped_does_not_run(person: Person) -> None:
    run = done(person.run(EXAMPLES["data_and_cache"], "--words=fee"))

    node = run.nodes["/Forget the index"]
    assert (node["skipped"], node["attempts"]) == (True, [])
    assert list(person.base.glob("*/data/conducto-cache/licence-index/*"))


# ---- machine_learning ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def learnt(person: Person) -> Run:
    return done(person.run(EXAMPLES["machine_learning"]))


def test_models_are_compared_and_the_best_is_tuned(learnt: Run) -> None:
    results = [json.loads(path.read_text()) for path in learnt.data.glob("results/*.json")]

    untuned = [result for result in results if result["value"] == 0]
    best = max(untuned, key=lambda result: result["accuracy"])
    tuned = [result for result in results if result["value"]]
    assert len(untuned) == len(learnt.children("/Models")) == 4
    assert {result["model"] for result in tuned} == {best["model"]}
    assert [int(name.partition("=")[2]) for name in learnt.children("/Tune the best/Execute")] == (
        sorted(result["value"] for result in tuned)
    )


def test_the_best_model_reads_most_digits(learnt: Run) -> None:
    best = json.loads((learnt.data / "best.json").read_text())

    assert best["accuracy"] > 0.95
    assert f"best: {best['model']}, {best['accuracy']:.4f}\n" in learnt.output("/Report")


def test_models_run_at_the_same_time(learnt: Run) -> None:
    attempts = [learnt.attempts(f"/Models/{name}")[0] for name in learnt.children("/Models")]

    attempts.sort(key=lambda attempt: attempt["started"])

    assert any(b["started"] < a["ended"] for a, b in itertools.pairwise(attempts))


def test_the_report_shows_a_plot_a_gallery_and_a_table(learnt: Run) -> None:
    output = learnt.output("/Report")

    shown = re.findall(rf"!\[\w+\]\(/gw/manager/data/{learnt.id}/pipeline/(\S+\.png)\)", output)
    assert shown[0] == "plots/accuracy.png"
    assert len(shown) == 2
    for name in shown:
        assert (learnt.data / name).read_bytes().startswith(PNG)
    assert output.count("<ConductoMarkdown>") == output.count("</ConductoMarkdown>") == 2
    assert len(table_rows(output)) == 4 + 3
    assert table_rows((learnt.data / "reports/comparison.md").read_text()) == table_rows(output)
    assert "### What the best model gets wrong" in output


# ---- retries_and_limits --------------------------------------------------------------------


@pytest.fixture(scope="module")
def rough(person: Person) -> Run:
    return done(person.run(EXAMPLES["retries_and_limits"]))


def test_a_retried_node_keeps_every_attempt(rough: Run) -> None:
    attempts = rough.attempts("/Flaky service")

    assert [attempt["state"] for attempt in attempts] == ["error", "error", "done"]
    for number in (1, 2, 3):
        assert rough.output("/Flaky service", attempt=number) == f"this is attempt {number}\n"


def test_a_node_that_is_nice_to_have_is_passed_over(rough: Run) -> None:
    node = rough.nodes["/Nice to have"]

    assert (node["state"], node["skipped"], len(node["attempts"])) == ("error", True, 2)
    assert rough.output("/Nice to have", "stderr") == "not today\n"


def test_a_node_that_takes_too_long_is_killed_and_its_group_is_done(rough: Run) -> None:
    node = rough.nodes["/Best effort/Never ends"]

    (attempt,) = node["attempts"]
    assert (node["state"], node["cause"]) == ("killed", "timeout")
    assert 1 <= attempt["ended"] - attempt["started"] < 30
    assert rough.states["/Best effort"] == "done"
    assert rough.output("/Best effort/Never ends") == "waiting\n"


def test_no_more_run_at_once_than_the_group_allows(rough: Run) -> None:
    counts = [int(line) for line in (rough.data / "at-once").read_text().split()]

    assert len(counts) == 4
    assert max(counts) == 2


# ---- demo ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mapped(person: Person) -> Run:
    return done(person.run(EXAMPLES["demo"]))


def test_the_demo_looks_at_every_region_that_is_in_the_data(mapped: Run) -> None:
    regions = sorted(path.stem for path in mapped.data.glob("regions/*.json"))

    assert {"Africa", "America", "Antarctica", "Asia", "Australia", "Europe"} <= set(regions)
    assert mapped.children("/Look/Loneliest/Execute") == regions
    assert set(mapped.states.values()) == {"done"}


def test_the_demo_matches_the_atlas(mapped: Run) -> None:
    lonely = json.loads((mapped.data / "loneliest/Pacific.json").read_text())

    # Easter Island; the next airport is in the Gambier Islands.
    assert lonely["code"] == "IPC"
    assert 2400 < lonely["distance"] < 2700
    assert "Daocheng" in mapped.output("/Look/Extremes")
    assert re.search(r": 19\d\d\d km", mapped.output("/Look/Longest route"))


def test_the_demo_reports_a_map_on_the_page_of_the_pipeline(mapped: Run) -> None:
    shown = mapped.output("/Draw the map")

    assert (mapped.data / "plots/airports.png").read_bytes().startswith(PNG)
    report = (mapped.data / "reports/Airports of the world.md").read_text()
    picture = f"![map of the airports](/gw/manager/data/{mapped.id}/pipeline/plots/airports.png)"
    assert report.startswith(picture)
    assert report in shown
    assert len(table_rows(report)) == len(mapped.children("/Look/Loneliest/Execute"))
    assert "./plots/airports.png\n" in mapped.output("/Files")


def test_the_demo_spends_most_of_its_time_in_its_commands(mapped: Run) -> None:
    ran = [attempt for path in mapped.nodes for attempt in mapped.attempts(path)]
    began = min(one["started"] for one in ran)  # before that, its image may have to be built
    took = max(one["ended"] for one in ran) - began

    busy, until = 0.0, began
    for one in sorted(ran, key=lambda one: float(one["started"])):
        busy += max(0.0, one["ended"] - max(until, one["started"]))
        until = max(until, one["ended"])

    assert busy > took / 2
