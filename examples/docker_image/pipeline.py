"""Images from a Dockerfile, with code that Conducto or the Dockerfile copies."""

import modules

import conducto as co


def tables() -> co.Parallel:
    """Run in three images, each built in another way."""
    root = co.Parallel()
    # The Dockerfile installs packages, and Conducto copies this folder in its own layer. After a
    # change of the code, only that layer is built again.
    root["Code added"] = co.Exec(
        "python modules.py",
        image=co.Image(dockerfile="Dockerfile", docker_build_args={"STYLE": "grid"}, copy_dir="."),
    )
    # The Dockerfile copies the code, too. path_map names its place, so that functions can be
    # imported.
    root["Code included"] = co.Exec(
        modules.table,
        rows=3,
        params=co.Params(
            image=co.Image(dockerfile="Dockerfile.with_code", path_map={".": "/srv/modules"})
        ),
    )
    # A short Dockerfile can be a text. Without context=, the build has no files of this folder.
    root["Text"] = co.Exec(
        'echo "made with: $MADE_WITH"; cat /etc/made',
        image=co.Image(
            dockerfile_text="""
            FROM python:3.11-slim
            ENV MADE_WITH=dockerfile_text
            RUN echo "in the image" > /etc/made
            """
        ),
    )
    return root


if __name__ == "__main__":
    co.main(default=tables)
