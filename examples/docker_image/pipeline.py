"""Images of one's own: from a Dockerfile, with code that Conducto or the Dockerfile copies."""

import modules

import conducto as co


def tables() -> co.Parallel:
    """Print the same table in differently made images."""
    root = co.Parallel()
    # The Dockerfile brings the software; Conducto adds this folder, in a layer of its own: after
    # a change of the code only that layer is made again.
    root["Code added"] = co.Exec(
        "python modules.py",
        image=co.Image(dockerfile="Dockerfile", docker_build_args={"STYLE": "grid"}, copy_dir="."),
    )
    # The Dockerfile brings the code as well. path_map says where it lies, so that functions
    # are found.
    root["Code included"] = co.Exec(
        modules.table,
        rows=3,
        params=co.Params(
            image=co.Image(dockerfile="Dockerfile.with_code", path_map={".": "/srv/modules"})
        ),
    )
    # A few lines need no file. Without a context the build sees no file of this folder.
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
