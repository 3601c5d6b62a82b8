"""Images: their wire form and their validation."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

import conducto as co
from conducto.tree.image_form import host_form, resolved_form
from conducto.tree.validate import validate

HERE = pathlib.Path(__file__).parent


@pytest.fixture
def checkout(tmp_path: pathlib.Path) -> pathlib.Path:
    git = tmp_path / "repo" / ".git"
    (tmp_path / "repo" / "sub").mkdir(parents=True)
    git.mkdir()
    (git / "config").write_text('[core]\n[remote "origin"]\n\turl = https://example.com/a.git\n')
    (git / "HEAD").write_text("ref: refs/heads/trunk\n")
    return tmp_path / "repo"


def test_image_without_a_source_is_python_with_conducto() -> None:
    form = resolved_form(co.Image(copy_dir="."))

    assert form["image"].startswith("python:3.")
    assert form["install_pip"] == ["conducto"]


def test_given_packages_replace_conducto() -> None:
    assert resolved_form(co.Image(reqs_py=["numpy"]))["install_pip"] == ["numpy"]


def test_named_image_gets_nothing_installed() -> None:
    assert resolved_form(co.Image("ubuntu"))["install_pip"] is None


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("reqs_py", "install_pip", ["a"]),
        ("reqs_npm", "install_npm", True),
        ("reqs_packages", "install_packages", ["git"]),
        ("reqs_docker", "install_docker", True),
    ],
)
def test_older_names_mean_the_newer_ones(old: str, new: str, value: Any) -> None:
    image = co.Image("a", **{old: value})

    assert resolved_form(image)[new] == value
    assert image.to_dict()[old] == value


def test_paths_are_relative_to_the_calling_file() -> None:
    form = resolved_form(co.Image("a", copy_dir="x/..", path_map={"y": "/z"}))

    assert form["copy_dir"] == str(HERE)
    assert form["path_map"] == {str(HERE / "y"): "/z", str(HERE): "/mnt/conducto"}


def test_path_given_to_a_node_is_relative_to_the_calling_file_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.chdir(tmp_path)
    root = co.Serial(image=co.Image(dockerfile="D"))

    assert root.image is not None
    assert resolved_form(root.image)["dockerfile"] == str(HERE / "D")


def test_context_is_the_dockerfiles_directory() -> None:
    assert resolved_form(co.Image(dockerfile="sub/D"))["context"] == str(HERE / "sub")
    assert resolved_form(co.Image(dockerfile_text="FROM a"))["context"] is None


def test_repository_is_copied_whole(checkout: pathlib.Path) -> None:
    image = co.Image("a", copy_repo=True, instantiation_directory=checkout / "sub")
    form = resolved_form(image)

    assert form["copy_dir"] == str(checkout)
    assert form["path_map"] == {str(checkout): "/mnt/conducto"}


def test_branch_of_the_repository_is_cloned_from_its_origin(checkout: pathlib.Path) -> None:
    image = co.Image("a", copy_repo=True, copy_branch="b", instantiation_directory=checkout / "sub")
    form = resolved_form(image)

    assert (form["copy_url"], form["copy_branch"]) == ("https://example.com/a.git", "b")
    assert form["copy_dir"] is None


def test_repository_outside_of_git_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="copy_repo=True was specified, but could not find Git"):
        co.Image("a", copy_repo=True, instantiation_directory=tmp_path)


def test_contextual_path_marks_the_checkout_and_shares(checkout: pathlib.Path) -> None:
    co.Image.share_directory("S", checkout / "sub")
    path = co.Image.get_contextual_path(checkout / "sub" / "f")
    parts = path.to_dict()["path"]

    at = parts.index("repo")
    assert parts[at + 1] == {"type": "git", "branch": "trunk", "url": "https://example.com/a.git"}
    assert parts[at + 2 :] == ["sub", {"type": "shared", "name": "S"}, "f"]
    assert str(path) == str(checkout / "sub" / "f")


def test_container_paths_become_those_of_the_host(
    checkout: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = json.dumps({"pathsep": "/", "path": ["home", "me", {"type": "git"}]})
    monkeypatch.setenv("CONDUCTO_PATH_MAP", json.dumps({key: str(checkout), "/other": "/o"}))
    form = host_form(co.Image("a", copy_dir="sub", instantiation_directory=checkout))

    assert form["copy_dir"] == "/home/me/sub"
    assert form["path_map"] == {"/home/me/sub": "/mnt/conducto"}


def test_equal_definitions_are_equal_images_with_equal_names() -> None:
    assert co.Image("a", install_pip=["x"]) == co.Image("a", install_pip=["x"])
    assert co.Image("a").name == co.Image("a").name
    assert co.Image("a").name != co.Image("b").name
    assert co.Image("a", name="n") != co.Image("a", name="m")


def test_unnamed_images_of_different_directories_do_not_collide(tmp_path: pathlib.Path) -> None:
    one = co.Image("a", copy_dir=".", instantiation_directory=tmp_path / "x")
    other = co.Image("a", copy_dir=".", instantiation_directory=tmp_path / "y")

    assert one.name != other.name


def test_image_changed_after_it_was_given_goes_out_changed() -> None:
    root = co.Serial()
    root["a"], root["b"] = co.Exec("x", image="a"), co.Exec("x", image="a")
    changed = root["b"].image
    assert changed is not None
    changed.install_pip = ["numpy"]

    document = json.loads(root.serialize(pretty=True))
    installed = [image["install_pip"] for image in document["images"].values()]
    assert sorted(installed, key=str) == [None, ["numpy"]]


def test_registered_image_serves_by_name() -> None:
    root = co.Serial()
    root.register_image(co.Image("a", name="n"))
    root["x"] = co.Exec("x", image_name="n")

    assert root["x"].image == co.Image("a", name="n")


def test_images_of_a_subtree_come_with_it() -> None:
    part = co.Serial()
    part["x"] = co.Exec("x", image=co.Image("a", name="n"))
    root = co.Serial()
    root["part"] = part
    root["y"] = co.Exec("y", image_name="n")

    assert root["y"].image is part["x"].image


def test_original_leftovers_are_ignored() -> None:
    assert co.Image("a", pre_built=True, git_sha="x") == co.Image("a")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"image": "a", "dockerfile": "b"}, "Must specify at most 1: image='a' dockerfile='b'"),
    ({"image": "", "name": "n"}, "image 'n': image is empty"),
    ({"image": 3}, "image must be text, got 3"),
    ({"image": "a", "install_docker": "no"}, "install_docker must be True or False, got 'no'"),
    ({"image": "a", "docker_auto_workdir": "no"}, "docker_auto_workdir must be True or False"),
    (
        {"image": "a", "copy_dir": ".", "copy_url": "u", "copy_branch": "b"},
        r"Must not specify copy_dir \(\.\) and copy_url \(u\)\.",
    ),
    (
        {"image": "a", "copy_url": "u"},
        r"If specifying copy_url \(u\) must also specify copy_branch \(None\)",
    ),
    ({"image": "a", "copy_url": "s3://u", "copy_branch": "b"}, "If specifying an s3 copy_url"),
    ({"dockerfile": "no/such"}, "dockerfile '.*no/such' does not exist"),
    ({"image": "a", "copy_dir": "no/such"}, "copy_dir '.*no/such' does not exist"),
    ({"image": "a", "copy_dir": "test_images.py"}, "copy_dir '.*' is not a directory"),
    ({"dockerfile_text": "FROM a", "context": "no"}, "context '.*no' does not exist"),
    ({"image": "a", "copy_dir": 3}, "copy_dir must be a path, got 3"),
    ({"image": "a", "install_pip": "numpy"}, "install_pip must be a list of package names"),
    ({"image": "a", "install_npm": [3]}, "install_npm must be a list of package names"),
    ({"image": "a", "path_map": ["x"]}, "path_map must be a dict"),
]


@pytest.mark.parametrize(("definition", "text"), WRONG, ids=[text[:40] for _, text in WRONG])
def test_invalid_definition_names_its_node(definition: dict[str, Any], text: str) -> None:
    root = co.Serial()
    root["x"] = co.Exec("x", image=co.Image(**definition))

    with pytest.raises(co.DefinitionError, match=f"^/x: .*{text}") as raised:
        validate(root)
    assert (raised.value.path, raised.value.file) == ("/x", __file__)


def test_files_are_not_looked_for_inside_a_node() -> None:
    root = co.Serial(image=co.Image("a", copy_dir="no/such"))

    validate(root, check_images=False)
    with pytest.raises(co.DefinitionError, match="does not exist"):
        root.check_images()


def test_share_needs_no_profile(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    co.Image.register_directory("HERE", "..")

    assert list(tmp_path.iterdir()) == []


def test_a_script_may_note_things_of_its_own_on_an_image() -> None:
    image = co.Image("busybox")
    image.path_to_code = "./app"  # type: ignore[attr-defined]

    assert image.path_to_code == "./app"  # type: ignore[attr-defined]
    assert image == co.Image("busybox")
