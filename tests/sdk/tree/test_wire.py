"""The wire form, against what the original was seen to write."""

from __future__ import annotations

import base64
import gzip
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto.tree.serialize import decode, to_document
from conducto.tree.validate import validate
from conducto.wire.lazy_form import from_wire_document

AS_WRITTEN = {
    "name": "img",
    "image": "python:3.8",
    "dockerfile": None,
    "dockerfile_text": None,
    "docker_build_args": None,
    "docker_auto_workdir": True,
    "context": None,
    "copy_repo": None,
    "copy_dir": None,
    "copy_url": None,
    "copy_branch": None,
    "install_pip": None,
    "install_npm": None,
    "install_packages": None,
    "install_docker": False,
    "path_map": None,
    "shell": "__auto__",
    "instantiation_directory": "/src",
    "reqs_py": None,
    "reqs_npm": None,
    "reqs_packages": None,
    "reqs_docker": False,
}
WHERE = {"file": "/src/p.py", "line": 1}


def sample() -> co.Serial:
    image = co.Image("python:3.8", name="img", instantiation_directory="/src")
    top = {"image": image, "env": {"R": "1"}, "doc": "d", "title": "t", "tags": ["x", "y"]}
    with co.Serial(cpu=2, **top, **WHERE) as root:  # type: ignore[arg-type]
        with co.Parallel(name="p", env={"A": "b"}, mem=4, max_concurrent=2, **WHERE):  # type: ignore[arg-type]
            co.Exec("echo a", name="a", env={"X": "1"}, **WHERE)
            b = co.Exec("echo b", name="b", env={"X": "1"}, skip=True, cpu=1, **WHERE)
        co.Exec(
            "echo z",
            name="z",
            max_time="1h",
            suppress_errors=True,
            requires_docker=True,
            container_reuse_context=co.ContainerReuseContext.NEW,
            docker_run_args="-v a:b",
            **WHERE,
        )
    b.on_done(co.callback.retry(3))
    return root


def unpacked(text: str) -> dict[str, Any]:
    return json.loads(gzip.decompress(base64.b64decode(text)))  # type: ignore[no-any-return]


def by_path(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    paths = {document["nodes"][0]["id"]: ""}
    for parent, child, name in document["edges"]:
        paths[child] = f"{paths[parent]}/{name}"
    drop = ("id", "file", "line", "is_notebook", "type", "callbacks", "command", "stop_on_error")
    return {
        paths[node["id"]] or "/": {k: v for k, v in node.items() if k not in drop}
        for node in document["nodes"]
    }


def test_tree_is_written_as_the_original_wrote_it() -> None:
    assert unpacked(sample().serialize()) == {
        "edges": [
            ["B", "wb8yD1pA2LB", "p"],
            ["B", "6b8yD1pA2LB", "z"],
            ["wb8yD1pA2LB", "i1zyqjE4tOgycGuum6AaB", "a"],
            ["wb8yD1pA2LB", "j1zyqjE4tOgycGuum6AaB", "b"],
        ],
        "nodes": [
            {
                "skip": False,
                "cpu": 2,
                "image_name": "img",
                "__env__R": "1",
                "id": "B",
                "callbacks": [],
                "type": "Serial",
                **WHERE,
                "is_notebook": False,
                "doc": "d",
                "title": "t",
                "tags": ["x", "y"],
                "stop_on_error": True,
            },
            {
                "skip": False,
                "mem": 4,
                "__env__A": "b",
                "id": "wb8yD1pA2LB",
                "callbacks": [],
                "type": "Parallel",
                **WHERE,
                "is_notebook": False,
                "max_concurrent": 2,
            },
            {
                "skip": False,
                "requires_docker": True,
                "docker_run_args": ["-v", "a:b"],
                "id": "6b8yD1pA2LB",
                "callbacks": [],
                "type": "Exec",
                **WHERE,
                "is_notebook": False,
                "container_reuse_context": "new",
                "suppress_errors": True,
                "max_time": "1h",
                "command": "echo z",
            },
            {
                "skip": False,
                "__env__X": "1",
                "id": "i1zyqjE4tOgycGuum6AaB",
                "callbacks": [],
                "type": "Exec",
                **WHERE,
                "is_notebook": False,
                "command": "echo a",
            },
            {
                "skip": True,
                "cpu": 1,
                "__env__X": "1",
                "id": "j1zyqjE4tOgycGuum6AaB",
                "callbacks": [
                    [
                        "done",
                        [
                            "retry",
                            {"max_num_retries": 3, "inherited": False, "user_display": True},
                        ],
                    ]
                ],
                "type": "Exec",
                **WHERE,
                "is_notebook": False,
                "command": "echo b",
            },
        ],
        "images": {"img": AS_WRITTEN},
        "token": None,
        "autorun": None,
        "autorun_at": None,
        "sleep_when_done": None,
        "pipeline_reservation": None,
        "agent_only": False,
    }


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("p/c", "k1zyqjE4tOgycGuum6AaB"),
        ("lz", "SHOhbZ3R0lExRnSB"),
        ("lz/Generate", "i6nxDTY6YnUn6L4ST6y8vC"),
        ("lz/Execute", "1PvPNSCGfCecxFcU1PN8p"),
    ],
)
def test_id_is_the_originals_function_of_the_path(path: str, expected: str) -> None:
    root = co.Serial()
    root["p"], root["lz"] = co.Parallel(), co.Lazy("foo")
    root["p/c"] = co.Exec("x")
    root.serialize()

    assert root[path].id == expected


def test_tree_comes_back_with_everything() -> None:
    text = sample().serialize()
    back = co.Node.deserialize(text)

    assert back.serialize() == text
    assert back["p/a"].env == {"X": "1"}
    assert back["p/a"].image is not None
    assert back["p/a"].image.image == "python:3.8"
    assert back.pretty(strict=False) == sample().pretty(strict=False)


def test_notebook_comes_back_as_one() -> None:
    root = co.Serial()
    root["nb"] = co.Notebook("/x.ipynb", a=1, b=True, c="x y")
    back = co.Node.deserialize(root.serialize())

    assert isinstance(back["nb"], co.Exec)
    assert back["nb"].is_notebook
    assert back["nb"].command.endswith(" -p a 1 -p b True -p c 'x y'")


def test_same_tree_gives_the_same_text() -> None:
    assert sample().serialize() == sample().serialize()


def test_pretty_text_is_read_back_too() -> None:
    assert co.Node.deserialize(sample().serialize(pretty=True)).serialize() == sample().serialize()


@pytest.mark.parametrize(
    "text",
    ["", "banana", "e30=", "{}", '{"nodes": [{"id": "B"}], "edges": []}', '{"nodes": [3]}', "[]"],
)
def test_text_that_is_not_a_tree_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="serialized tree"):
        co.Node.deserialize(text)


def test_parameters_shared_by_all_children_move_to_the_parent() -> None:
    with co.Serial() as root:
        co.Exec("x", name="x", cpu=2, mem=1, env={"A": "1", "B": "2"}, requires_docker=True)
        with co.Parallel(name="p", cpu=2, env={"A": "1"}, requires_docker=True):
            co.Exec("q", name="q", cpu=2, gpu=0, env={"A": "1", "C": "c"})
            co.Exec("r", name="r", cpu=1, gpu=0, env={"A": "2", "C": "c"})

    assert by_path(to_document(root, resolve=True)) == {
        "/": {"skip": False, "cpu": 2, "requires_docker": True, "__env__A": "1"},
        "/x": {"mem": 1, "__env__B": "2"},
        "/p": {"gpu": 0, "__env__C": "c"},
        "/p/q": {},
        "/p/r": {"cpu": 1, "__env__A": "2"},
    }


def test_parameters_missing_on_one_child_stay_on_the_others() -> None:
    with co.Serial() as root:
        co.Exec("x", name="x", cpu=2)
        co.Parallel(name="p")

    assert by_path(to_document(root, resolve=True))["/x"] == {"cpu": 2}


def test_skip_never_moves() -> None:
    with co.Serial() as root:
        co.Exec("x", name="x", skip=True)
        co.Exec("y", name="y", skip=True)

    assert by_path(to_document(root, resolve=True)) == {
        "/": {"skip": False},
        "/x": {"skip": True},
        "/y": {"skip": True},
    }


def test_text_of_stop_on_error_and_numbers_go_out_as_true() -> None:
    root = co.Serial(stop_on_error="False", skip=0, suppress_errors=1)  # type: ignore[arg-type]
    record = unpacked(root.serialize())["nodes"][0]

    assert (record["stop_on_error"], record["skip"], record["suppress_errors"]) == (
        True,
        False,
        True,
    )


def test_serialize_leaves_the_tree_as_it_is() -> None:
    root = sample()
    before = [node.describe() for node in root.stream()]
    to_launch_form(root)

    after = [node.describe() for node in root.stream()]
    assert [{**d, "id": None} for d in after] == [{**d, "id": None} for d in before]


def test_launch_form_has_the_default_image_on_the_root() -> None:
    form = to_launch_form(co.Exec("x"), title="t", doc="d", tags=["a"])

    assert form["nodes"][0]["image_name"] == "conducto-default"
    assert form["images"]["conducto-default"]["install_pip"] == ["conducto"]
    assert form["images"]["conducto-default"]["image"].startswith("python:3.")
    assert (form["nodes"][0]["title"], form["nodes"][0]["doc"]) == ("t", "d")
    assert form["nodes"][0]["tags"] == ["a"]


def test_shared_image_of_children_does_not_hide_the_default_one() -> None:
    with co.Serial() as root:
        co.Exec("x", name="x", image=co.Image("a", name="n"))
        co.Exec("y", name="y", image_name="n")
    records = by_path(to_launch_form(root))

    assert records["/"]["image_name"] == "conducto-default"
    assert records["/x"]["image_name"] == "n"


def test_launch_form_omits_default_values() -> None:
    with co.Serial(skip=False) as root:
        co.Exec("x", name="x", skip=False)
        co.Exec("y", name="y", skip=True)
    records = by_path(to_launch_form(root))

    assert {"skip", "callbacks", "is_notebook"}.isdisjoint({*records["/"], *records["/x"]})
    assert records["/y"]["skip"] is True


@pytest.mark.parametrize(
    ("written", "launched"),
    [
        ("-v ./x:/x", ["-v", "/scripts/x:/x"]),
        ("-v../x:/x:ro", ["-v/x:/x:ro"]),
        ("--volume=.:/x", ["--volume=/scripts:/x"]),
        ("-v ~/x:/x", ["-v", f"{Path.home()}/x:/x"]),
        ("-v named:/x -v /a:/b -v /c", ["-v", "named:/x", "-v", "/a:/b", "-v", "/c"]),
        ("--hostname ./x:/x", ["--hostname", "./x:/x"]),
    ],
)
def test_volumes_are_relative_to_the_script(written: str, launched: list[str]) -> None:
    node = co.Exec("x", docker_run_args=written)
    node.file = "/scripts/pipeline.py"

    assert to_launch_form(node)["nodes"][0]["docker_run_args"] == launched
    assert node.docker_run_args == shlex.split(written)


@pytest.mark.parametrize(
    "written", ["--security-opt seccomp=p.json", "--security-opt=seccomp=./p.json"]
)
def test_seccomp_profile_is_read_at_launch(written: str, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    node = co.Exec("x", docker_run_args=written)
    node.file = str(tmp_path / "pipeline.py")

    launched = to_launch_form(node)["nodes"][0]["docker_run_args"]

    assert launched[-1].endswith('seccomp={"defaultAction":"SCMP_ACT_ALLOW"}')


@pytest.mark.parametrize("value", ["seccomp=unconfined", "seccomp={}", "apparmor=p.json"])
def test_security_option_without_a_file_is_passed_on(value: str) -> None:
    node = co.Exec("x", docker_run_args=["--security-opt", value])

    assert to_launch_form(node)["nodes"][0]["docker_run_args"][-1] == value


@pytest.mark.parametrize(
    ("content", "message"), [(None, "No such file"), ("[]", "is not a JSON object"), ("x", "Expe")]
)
def test_seccomp_profile_that_cannot_be_read_is_an_error(
    content: str | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "p.json").write_text(content)
    root = co.Serial()
    root["a"] = co.Exec("x", docker_run_args="--security-opt seccomp=p.json")
    root["a"].file = str(tmp_path / "pipeline.py")

    with pytest.raises(DefinitionError, match=f"^/a: docker_run_args: --sec.*{message}"):
        to_launch_form(root)


def test_printed_tree_reads_no_file_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text("{}")
    node = co.Exec("x", docker_run_args=f"--security-opt seccomp={tmp_path}/p.json")

    form = from_wire_document(to_document(node, resolve=True))

    assert form["nodes"][0]["docker_run_args"][-1] == f"seccomp={tmp_path}/p.json"


def test_one_tag_as_text_stays_one_tag() -> None:
    assert to_launch_form(co.Exec("x"), tags="nightly")["nodes"][0]["tags"] == ["nightly"]


def test_launch_form_is_plain_json() -> None:
    form = to_launch_form(sample())

    assert json.loads(json.dumps(form)) == form


def test_printed_tree_becomes_a_launch_form_with_plain_paths(tmp_path: Any) -> None:
    root = co.Serial(image=co.Image("a", name="n", copy_dir=str(tmp_path)))
    validate(root)
    document = to_document(root, resolve=True)
    form = from_wire_document(document)

    assert document["images"]["n"]["copy_dir"]["pathsep"] == "/"
    assert form["images"]["n"]["copy_dir"] == str(tmp_path)
    assert form["images"]["n"]["path_map"] == {str(tmp_path): "/mnt/conducto"}


def test_block_between_tags_is_found() -> None:
    text = sample().serialize()

    block = f"noise\n<__conducto_serialization>{text}</__conducto_serialization>\n"
    assert decode(block) == decode(text)
