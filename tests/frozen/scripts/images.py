"""Images: shared, named, with code, with things to install."""

import conducto as co

BASE = co.Image("alpine:3.20", name="base")


def pipeline() -> co.Serial:
    root = co.Serial(image=BASE)
    root["inherits"] = co.Exec("true")
    root["text"] = co.Exec("true", image="debian:12")
    root["code"] = co.Exec(
        "ls", image=co.Image("python:3.11", copy_dir=".", install_pip=["numpy"], name="code")
    )
    root["older"] = co.Exec(
        "ls", image=co.Image("python:3.11", reqs_py=["numpy"], reqs_packages=["git"], name="older")
    )
    root["named"] = co.Exec("true", image_name="code")
    root["built"] = co.Exec(
        "true",
        image=co.Image(
            dockerfile="Dockerfile.frozen",
            docker_build_args={"A": "1"},
            context=".",
            name="built",
            docker_auto_workdir=False,
        ),
    )
    return root


def shared_by_all() -> co.Parallel:
    root = co.Parallel()
    for name in "abc":
        root[name] = co.Exec("true", image=BASE)
    return root


if __name__ == "__main__":
    co.main(default=pipeline)
