"""The generated Dockerfile."""

import shutil
import subprocess

import pytest

from conducto_core.images import dockerfile as install
from conducto_core.images import dockerfile as scripts
from conducto_core.images.dockerfile import Install, plan_install, wants_client
from conducto_core.images.model import ImageSpec

CLIENT = ("conducto-1-py3-none-any.whl", b"wheel")


def plan(user: str = "", **fields: object) -> Install:
    spec = ImageSpec.model_validate({"name": "a", "image": "base", **fields})
    client = CLIENT if wants_client(spec) else None
    return plan_install(spec, "base:1", user, client, {"package.json": b"{}"})


def runs(made: Install) -> list[str]:
    return [line[4:] for line in made.dockerfile.splitlines() if line.startswith("RUN ")]


def test_order_is_packages_docker_pip_client_npm() -> None:
    made = plan(
        install_npm=("left-pad",),
        install_pip=("conducto", "six", "attrs"),
        install_docker=True,
        install_packages=("jq",),
    )

    assert runs(made) == [
        "sh /conducto-install/packages.sh jq",
        "sh /conducto-install/docker.sh",
        "sh /conducto-install/pip.sh '' attrs six",
        "sh /conducto-install/pip.sh /conducto-install/conducto-1-py3-none-any.whl",
        "sh /conducto-install/npm.sh left-pad",
    ]


def test_user_is_restored() -> None:
    lines = plan(user="1000:1000", install_pip=("six",)).dockerfile.splitlines()

    assert lines[1] == "USER root"
    assert lines[-1] == "USER 1000:1000"


def test_root_is_not_switched() -> None:
    assert "USER" not in plan(install_pip=("six",)).dockerfile


def test_requirements_are_quoted() -> None:
    made = plan(install_pip=("six>=1,<2", "a; python_version < '3.9'"))

    assert runs(made) == [
        """sh /conducto-install/pip.sh '' 'a; python_version < '"'"'3.9'"'"'' 'six>=1,<2'"""
    ]


def test_line_break_cannot_start_an_instruction() -> None:
    made = plan(install_packages=("jq\nRUN evil\\",))

    assert runs(made) == ["sh /conducto-install/packages.sh 'jq RUN evil\\'"]


def test_npm_without_names_takes_the_codes_own_files() -> None:
    made = plan(install_npm=True)

    assert "COPY npm/ /mnt/conducto/" in made.dockerfile
    assert made.files["npm/package.json"] == b"{}"
    assert runs(made) == ["sh /conducto-install/npm.sh"]


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("conducto", True),
        ("Conducto==0.1.28", True),
        ("conducto[aws] >= 1", True),
        ("conducto-pipelines[aws]>=1", True),
        ("Conducto_Pipelines", True),
        ("conducto-plugin", False),
        ("conducto @ https://example.com/c.whl", False),
    ],
)
def test_the_name_conducto_means_our_own(requirement: str, expected: bool) -> None:
    spec = ImageSpec(name="a", image="base", install_pip=(requirement,))

    assert wants_client(spec) is expected


def test_hash_follows_base_and_content() -> None:
    made = plan(install_pip=("conducto",))
    other = Install(made.dockerfile, {**made.files, CLIENT[0]: b"newer"})

    names = {
        install.install_hash("id1", made),
        install.install_hash("id2", made),
        install.install_hash("id1", other),
    }

    assert len(names) == 3
    assert install.install_hash("id1", made) in names


@pytest.mark.parametrize("name", ["COMMON", "PACKAGES", "DOCKER", "PIP", "NPM"])
@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
def test_scripts_parse(name: str, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")

    done = subprocess.run(
        [shell, "-n"], input=getattr(scripts, name), text=True, capture_output=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
