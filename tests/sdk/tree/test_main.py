"""co.main: choice of methods, parsing of the command line, and output."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import enum
import gzip
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Literal, Optional

import pytest

import conducto as co
from conducto import main as main_module
from conducto.errors import UsageError
from conducto.script.arguments import Words
from conducto.script.definition import Definition
from conducto.script.flags import NAMES, Flags

if TYPE_CHECKING:
    import pathlib


def hello() -> co.Serial:
    """
    Say hello.
    """
    root = co.Serial()
    root["hi"] = co.Exec("echo hi")
    return root


def add(a: int, b: int = 2, *, flag: bool = False):
    return (a, b, flag)


def names(parts: list, title: str = "none"):
    return parts, title


def entitled(title: str) -> co.Serial:
    return co.Serial(doc=title)


def nothing() -> None:
    return None


def wrong() -> co.Serial:
    return 3  # type: ignore[return-value]


def unannotated():
    return co.Serial()


def inner() -> co.Serial:
    root = hello()
    return root["hi"]  # type: ignore[return-value]


async def later(n: int = 1):
    return n + 1


def stringly() -> co.Parallel:
    return co.Parallel()


def optional(n: int | None = None, xs: list[int] = ()):  # type: ignore[assignment]
    return n, xs


def misbuilt() -> co.Serial:
    return co.Serial(cpuu=2)


def misvalued() -> co.Serial:
    root = co.Serial()
    root["a"] = co.Exec("true", max_time="banana")
    return root


def broken() -> co.Serial:
    raise ZeroDivisionError("mine")


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclasses.dataclass
class Net:
    layers: list[int]
    rate: float = 0.5


def typed(  # noqa: PLR0917
    net: Net,
    day: dt.date = dt.date(2026, 1, 31),
    color: Color = Color.RED,
    limit: dt.timedelta | None = None,
    kind: Literal["fast", "slow"] = "fast",
    check: bool | None = True,
):
    """Train a net.

    Args:
        net (Net): Its layers
            and its rate.
        limit: Time for it.
    """
    return net, day, color, limit, kind, check


def several(*numbers: int, **rates: float):
    return numbers, rates


def numbered(depth: int, name: str = "n") -> co.Serial:
    root = co.Serial()
    root[name] = co.Exec(f"echo {depth}")
    return root


def needing_a_child() -> co.Serial:
    co.Serial()["zz"]
    return co.Serial()


METHODS = {name: value for name, value in list(globals().items()) if callable(value)}


def call(*argv: str, **more: Any) -> Any:
    results: list[Any] = []
    main_module(variables=METHODS, argv=list(argv), filename="p.py", printer=results.append, **more)
    return results[0] if results else None


def refused(capsys: pytest.CaptureFixture[str], *argv: str, **more: Any) -> tuple[Any, str]:
    with pytest.raises(SystemExit) as raised:
        call(*argv, **more)
    return raised.value.code, capsys.readouterr().err


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("__RUN_BY_WORKER__", "CONDUCTO_EXECUTION_ENV", "CONDUCTO_GLUE_DEBUG"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("line", "result"),
    [
        ("add 1", (1, 2, False)),
        ("add 1 3", (1, 3, False)),
        ("add --a=1 --b 3", (1, 3, False)),
        ("add --b=3 1 --flag", (1, 3, True)),
        ("add 1 --no-flag", (1, 2, False)),
        ("add -1", (-1, 2, False)),
        ("names a,b\\,c", (["a", "b,c"], "none")),
        ("names --parts=", ([], "none")),
        ("names a --title=T", (["a"], "T")),
        ("later", 2),
        ("later --n 4", 5),
        ("optional", (None, ())),
        ("optional --n=3 --xs=1,2", (3, [1, 2])),
        ("optional --n None", (None, ())),
        ("nothing", None),
        ("several 1 2 --x=0.5", ((1, 2), {"x": 0.5})),
    ],
)
def test_arguments_are_converted(line: str, result: Any) -> None:
    assert call(*line.split(" ")) == result


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("foo", "p.py : error: foo is not a valid method"),
        ("ad 1", "did you mean 'add'?"),
        ("_x", "underscore"),
        ("", "p.py : error: must specify method"),
        ("add", "p.py : wrong parameters for add(): no value for a"),
        ("add 1 2 3", "p.py : wrong parameters for add(): nothing takes '3'"),
        ("add 1 --a=2", "p.py : wrong parameters for add(): a is given twice"),
        ("add 1 --zz=1", "Unknown argument: --zz=1"),
        ("add 1 --flag=true", "--flag accepts no arguments, but got: 'true'"),
        ("add x", "parameter 'a': expected an int, got 'x'"),
        ("add --a", "--a needs a value"),
        ("hello --retention=x", "--retention must be a number of days"),
        ("hello --engine=lxc", "--engine must be one of docker, process, got 'lxc'"),
        ("hello --run=1", "--run accepts no arguments"),
        ("hello --run-at=never", "--run-at must be a time"),
        ("add 1 --local", "Unknown argument: --local"),
        (
            "unannotated --local",
            "annotate it: 'def unannotated(...) -> co.Serial",
        ),
        ("wrong", "Expected wrong to return a Node, but instead it returned 3"),
        ("unannotated", "unannotated returned a Serial but is not annotated to"),
        ("inner", "/hi: inner returned a node inside a tree"),
        ("misbuilt", "unexpected keyword argument 'cpuu'; did you mean 'cpu'?"),
        ("misvalued", "/a: max_time is an invalid duration: 'banana'"),
        ("needing_a_child", "/ has no child 'zz'; it has none"),
        ("add --a --flag", "--a needs a value (int); to pass '--flag', write --a=..."),
        ("add 1 --flg", "Unknown argument: --flg; did you mean '--flag'?"),
        ("add 1 --zzz", "Unknown argument: --zzz; add takes --a, --b, --flag"),
        ("hello --locl", "Unknown argument: --locl; did you mean '--local'?"),
        ("typed", "no value for net (JSON Net)"),
        ("typed {}", "parameter 'net': Net needs the field 'layers'"),
        ('typed {"layers":[1]} --color=blue', "'color': expected one of RED, GREEN, got 'blue'"),
        ('typed {"layers":[1]} --kind=x', "'kind': expected one of fast, slow, got 'x'"),
        ('typed {"layers":[1]} --day=1.2.26', "'day': expected a date such as 2026-01-31, got"),
        ('typed {"layers":[1]} --limit=soon', "'limit': expected a duration such as 1h30m"),
        ("several x", "parameter 'numbers': expected an int, got 'x'"),
        ("several --x=y", "parameter 'rates': expected a float, got 'y'"),
    ],
)
def test_usage_error_exits_with_code_2(
    line: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = refused(capsys, *line.split())

    assert code == 2
    assert text in err
    assert "Traceback" not in err


@pytest.mark.parametrize("method", ["misbuilt", "misvalued", "needing_a_child"])
def test_mistake_names_the_line_of_the_script(
    method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = refused(capsys, method)

    assert re.match(r"\S*test_main\.py:\d+: ", err)


def test_script_error_has_a_traceback_without_our_frames(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, err = refused(capsys, "broken")

    assert code == 1
    assert "ZeroDivisionError: mine" in err
    assert "sdk/conducto" not in err


def test_debugging_shows_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTO_GLUE_DEBUG", "1")

    with pytest.raises(TypeError, match="cpuu"):
        call("misbuilt")


def test_pipeline_is_printed_and_not_launched(capsys: pytest.CaptureFixture[str]) -> None:
    call("hello", "--detach")

    assert capsys.readouterr().out == "/\n└─0 hi   echo hi\n\n2 nodes, 1 image\n"


def test_function_in_place_of_the_names_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        co.main(co.Serial, argv=[])  # type: ignore[arg-type]

    assert ended.value.code == 2
    assert "the function that is called without its name is `default=`" in capsys.readouterr().err


def test_default_is_used_without_a_method(capsys: pytest.CaptureFixture[str]) -> None:
    call("--title", "T", default=hello)

    assert "echo hi" in capsys.readouterr().out


@pytest.mark.parametrize("line", ["3", "3 b", "--name=b 3", "-3"])
def test_default_takes_arguments_without_names(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call(*line.split(), default=numbered)

    assert f"echo {re.findall('-?3', line)[0]}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("evaluate", "expected an int, got 'evaluate'; it is not a method either: "),
        ("numberd", "numberd is not a valid method; did you mean 'numbered'? As an argument of"),
    ],
)
def test_word_that_the_default_cannot_read_names_the_methods(
    word: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = refused(capsys, word, default=numbered)

    assert code == 2
    assert text in err


def named(name: str, count: int = 1) -> co.Node:
    return co.Exec(f"echo {name} {count}")


def test_wrong_value_with_a_name_does_not_name_the_methods(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, err = refused(capsys, "b", "--count=b", default=named)

    assert "expected an int, got 'b'" in err
    assert "not a method" not in err


def test_typed_values_reach_the_method() -> None:
    words = ['{"layers": [1, 2]}', "--color=green", "--limit=90m", "--check=None"]

    assert call("typed", *words) == (
        Net([1, 2]),
        dt.date(2026, 1, 31),
        Color.GREEN,
        dt.timedelta(minutes=90),
        "fast",
        None,
    )


def test_string_annotation_makes_a_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    call("stringly")

    assert capsys.readouterr().out == "/\n\n1 node, 0 images\n"


def test_parameter_of_the_method_wins_over_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    call("entitled", "--title=mine")

    assert "1 node" in capsys.readouterr().out


def test_flag_with_the_name_of_a_parameter_has_a_spelling_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def built(build: bool = False, local: str = "x", run: int = 0) -> co.Exec:
        return co.Exec(f"echo {build} {local} {run}")

    argv = ["--build", "--local=a", "--run=3", "--conducto.title=mine", "--conducto.plan"]
    assert main_module(default=built, variables={}, argv=argv) == 0

    assert "AT ONCE" in capsys.readouterr().out


def test_help_lists_pipelines_first(capsys: pytest.CaptureFixture[str]) -> None:
    call("--help")
    err = capsys.readouterr().err

    assert err.startswith("usage: p.py  [-h] <method> [method arguments]")
    assert err.index("hello") < err.index("other methods:") < err.index("add")
    assert "Say hello." in err


def test_help_survives_defaults_and_annotations_that_cannot_be_passed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def odd(marker=object(), known: Nowhere = None, call=print):  # type: ignore[name-defined] # noqa: F821, B008
        return marker, known, call

    main_module(variables={"odd": odd}, argv=["--help"])
    err = capsys.readouterr().err

    assert "--marker text    [optional]\n" in err
    assert "--known Nowhere  [default: None]\n" in err
    assert "--call text      [optional]\n" in err


def test_help_of_a_method_has_types_defaults_and_docstring(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    call("typed", "--help")
    err = capsys.readouterr().err

    assert err.split("other methods:\n")[1] == (
        "    typed\n"
        "      Train a net.\n"
        "        --net JSON Net       Its layers and its rate. "
        "{layers: int,..., rate:\n                             float} [required]\n"
        "        --day date           [default: 2026-01-31]\n"
        "        --color RED|GREEN    [default: RED]\n"
        "        --limit duration     Time for it. [default: None]\n"
        "        --kind fast|slow     [default: fast]\n"
        "        --check, --no-check  [default: --check]\n"
    )


@pytest.mark.parametrize("flag", NAMES)
def test_help_explains_every_flag(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    call("--help")

    assert re.search(rf"^    {flag}( \S+)?  +[A-Zp]\w+", capsys.readouterr().err, re.MULTILINE)


@pytest.mark.parametrize(("text", "days"), [("0", 0), ("30", 30)])
def test_retention_of_0_means_no_expiry(text: str, days: int) -> None:
    flags = Flags()
    flags.consume("retention", text, Words([]))

    assert flags.fields()["retention"] == days


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    call("hello", "--version")

    assert capsys.readouterr().out == f"{co.__version__} (sha1={co.__sha1__})\n"


def test_only_names_in_all_are_methods(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main_module(variables={**METHODS, "__all__": ["hello"]}, argv=["add", "1"])

    assert "add is not a valid method" in capsys.readouterr().err


def test_typing_names_are_not_methods(capsys: pytest.CaptureFixture[str]) -> None:
    main_module(variables={**METHODS, "Maybe": Optional}, argv=["--help"])
    err = capsys.readouterr().err

    assert "add" in err
    assert "Maybe" not in err


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("--local add", "p.py add --local"),
        ("--title=a b add --run", "p.py add --title=a b --run"),
    ],
)
def test_method_after_flags_is_refused(
    line: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = refused(capsys, *line.split(), default=entitled)

    assert code == 2
    assert f"is a method, which comes first: {remedy}\n" in err


def test_value_of_an_option_may_be_the_name_of_a_method() -> None:
    assert call("--parts", "add", default=names) == (["add"], "none")


def test_callers_names_are_the_methods(capsys: pytest.CaptureFixture[str]) -> None:
    def local_one(n: int) -> int:
        return n + 1

    co.main(argv=["local_one", "3"])

    assert local_one(3) == 4
    assert capsys.readouterr().out == "4\n"


IMPORTING = """
import functools
from json import dumps
from shlex import join
from typing import NamedTuple

import conducto as co
from nightly import nightly

def shout(text: str) -> str:
    return text.upper()

def plain_decorator(function):
    def wrapped(text: str):
        return function(text)
    return wrapped

whisper = functools.partial(shout, "x")
decorated = plain_decorator(shout)

if __name__ == "__main__":
    co.main()
"""


def test_help_lists_no_imported_functions_but_pipelines(tmp_path: pathlib.Path) -> None:
    (tmp_path / "nightly.py").write_text(
        "import conducto as co\ndef nightly() -> co.Serial:\n    return co.Serial()\n"
    )
    (tmp_path / "script.py").write_text(IMPORTING)

    def run_script(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "script.py", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    listed = re.findall(r"^    (\w+)", run_script("--help").stderr, re.MULTILINE)
    assert listed == ["nightly", "shout", "plain_decorator", "whisper", "decorated"]
    assert "the methods are nightly, shout, plain_decorator, whisper, decorated" in (
        run_script("qqq").stderr
    )
    assert run_script("dumps", "--obj=3").stdout == "'\"3\"'\n"
    assert "NamedTuple is not a valid method" in run_script("NamedTuple", "x").stderr
    (tmp_path / "script.py").write_text("__all__ = ['dumps']\n" + IMPORTING)
    assert re.findall(r"^    (\w+)", run_script("--help").stderr, re.MULTILINE) == ["dumps"]


def printed_block(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    out = capsys.readouterr().out
    found = re.search(
        r"\n<__conducto_serialization>(.*)</__conducto_serialization>\n\n(.*)", out, re.DOTALL
    )
    assert found
    return json.loads(gzip.decompress(base64.b64decode(found.group(1)))), found.group(2)


def test_node_hands_out_its_tree(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("__RUN_BY_WORKER__", "1")
    call("hello", env={"A": "1"}, cpu=2, requires_docker=True)
    document, tree = printed_block(capsys)

    root = document["nodes"][0]
    assert (root["title"], root["doc"]) == ("p.py hello", "Say hello.")
    assert (root["cpu"], root["__env__A"], root["requires_docker"]) == (2, "1", True)
    assert "image_name" not in root
    assert tree == "/\n└─0 hi   echo hi\n"


@pytest.mark.parametrize(
    ("line", "title", "doc"),
    [
        ("hello --run --tags a,b", "p.py hello", "Say hello."),
        ("hello --title=T --doc D", "T", "D"),
        ("hello --default-doc D", "p.py hello", "D"),
        ("entitled a --sleep-when-done", "p.py entitled a", "a"),
        ("--run", "p.py hello", "Say hello."),
    ],
)
def test_title_and_doc_are_found(
    line: str,
    title: str,
    doc: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("__RUN_BY_WORKER__", "1")
    call(*line.split(), default=hello)
    document, _ = printed_block(capsys)

    assert (document["nodes"][0]["title"], document["nodes"][0]["doc"]) == (title, doc)


@pytest.mark.parametrize(
    ("given", "title", "doc"),
    [
        ({"into": "abc"}, None, "Say hello."),
        ({"into": "abc", "title": "T", "doc": "D"}, "T", "D"),
        ({}, "p.py hello", "Say hello."),
    ],
)
def test_continued_pipeline_gets_no_default_title(
    given: dict[str, str], title: str | None, doc: str
) -> None:
    flags, root = Flags(), hello()
    for name, text in given.items():
        flags.consume(name, text, Words([]))

    Definition(root, hello, "p.py", ["hello"], {})._entitle(flags, None)

    fields = flags.fields()
    assert (root.title, root.doc, fields["tags"], fields["retention"]) == (title, doc, None, None)


def test_description_of_parameters_is_not_part_of_the_doc() -> None:
    def train(depth: int = 1) -> co.Exec:
        """Train the model.

        Args:
            depth: Of the tree.
        """
        return co.Exec(f"echo {depth}")

    root = train()

    Definition(root, train, "p.py", ["train"], {})._entitle(Flags(), None)

    assert root.doc == "Train the model."


def test_launch_inside_a_node_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONDUCTO_EXECUTION_ENV", "worker_local")
    _, err = refused(capsys, "hello", "--local")

    assert "It is not supported to launch pipelines from with-in other pipelines." in err


def test_kubernetes_is_refused_and_not_taken_for_the_cloud(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, err = refused(capsys, "hello", "--k8s", "--cloud")
    assert "Kubernetes is not available yet" in err

    with pytest.raises(UsageError, match="Kubernetes is not available yet"):
        co.Serial(image="busybox").launch(k8s=True)


def test_parameter_that_the_root_has_is_not_overwritten(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def sized() -> co.Serial:
        return co.Serial(cpu=3)

    with pytest.raises(SystemExit):
        main_module(variables={"sized": sized}, argv=["sized"], cpu=2)

    assert "Trying to overwrite `cpu`=3 that is already set." in capsys.readouterr().err


def test_main_stays_callable_after_its_module_was_imported() -> None:
    code = "import conducto.main, conducto as co; co.main(variables={'f': lambda: 3}, argv=['f'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "3\n"


SCRIPT = """
import dataclasses, sys
import conducto as co

@dataclasses.dataclass
class Thing:
    x: int = 1

def show(n: int) -> int:
    print(__name__, sys.modules[__name__].show is show)
    return n + Thing().x

def run() -> co.Serial:
    with co.Serial() as root:
        co.Exec("true", name="a")
        co.Exec("true", name="a")
    return root

if __name__ == "__main__":
    print("main block")
    co.main()
"""


def run(tmp_path: pathlib.Path, *words: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "script.py").write_text(SCRIPT)
    return subprocess.run(
        [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )


ENTRY = ("-c", "import sys; from conducto.tools.entry import main; sys.exit(main())")


def test_file_is_loaded_under_its_own_name(tmp_path: pathlib.Path) -> None:
    done = run(tmp_path, *ENTRY, "script.py", "show", "--n=3")

    assert (done.stdout, done.returncode) == ("script True\n4\n", 0)


def test_a_file_without_a_main_guard_runs_its_function_once(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.py").write_text(
        "import conducto as co\ndef f(n: int) -> None:\n print('once', n)\n"
        "def g() -> co.Serial:\n return co.Serial()\nco.main(default=g)\nprint('after')\n"
    )
    called = run(tmp_path, *ENTRY, "a.py", "f", "--n=3")
    direct = run(tmp_path, "a.py", "f", "3")

    assert (called.stdout, called.returncode) == ("after\nonce 3\n", 0)
    assert (direct.stdout, direct.returncode) == ("once 3\nafter\n", 0)


def test_a_file_that_ends_itself_with_main_runs_its_function(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.py").write_text(
        "import sys, conducto as co\ndef f(n: int) -> None:\n print('once', n)\n"
        "def g() -> co.Serial:\n return co.Serial()\nsys.exit(co.main(default=g))\n"
    )
    called = run(tmp_path, *ENTRY, "a.py", "f", "--n=3")

    assert (called.stdout, called.returncode) == ("once 3\n", 0)


def test_file_without_main_is_ignored(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.py").write_text("def f() -> None:\n print('f')\nraise SystemExit(4)\n")

    done = run(tmp_path, *ENTRY, "a.py", "f")

    assert (done.stdout, done.returncode) == ("", 4)


def test_script_runs_its_own_main(tmp_path: pathlib.Path) -> None:
    done = run(tmp_path, "script.py", "show", "3")

    assert (done.stdout, done.returncode) == ("main block\n__main__ True\n4\n", 0)


def test_script_with_a_mistake_ends_with_its_line(tmp_path: pathlib.Path) -> None:
    done = run(tmp_path, "script.py", "run")

    assert done.returncode == 2
    assert done.stderr == (
        "script.py:16: Adding node a violates the integrity of the pipeline: "
        f"/ already has a child 'a' (defined at {tmp_path}/script.py:15)\n"
    )


def test_string_annotation_counts_before_any_node_was_made(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.py").write_text(
        "from __future__ import annotations\nimport conducto as co\n"
        "def f() -> co.Serial:\n return co.Serial()\nco.main()\n"
    )
    done = run(tmp_path, "a.py", "f")

    assert (done.stdout.split("\n")[-2], done.returncode) == ("1 node, 0 images", 0)


def test_missing_file_is_reported(tmp_path: pathlib.Path) -> None:
    done = run(tmp_path, *ENTRY, "nope.py", "show")

    assert (done.stderr, done.returncode) == ("No such file or directory: 'nope.py'\n", 2)


def test_terminal_without_unicode_gets_the_tree(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.py").write_text(
        "import conducto as co\ndef f() -> co.Serial:\n r = co.Serial()\n r['a'] = co.Exec('x')\n"
        " return r\nco.main(default=f)\n"
    )
    done = subprocess.run(
        [sys.executable, str(tmp_path / "a.py")],
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "2 nodes, 1 image" in done.stdout
