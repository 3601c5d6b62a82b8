"""Parameters: inherited, merged, pulled up, and of one node."""

import conducto as co


def pipeline() -> co.Serial:
    """Run with parameters."""
    root = co.Serial(env={"A": "root", "B": "root"}, cpu=2, tags=["nightly", "x"], title="Named")
    root["a"] = co.Exec("true", mem=4, env={"B": "a"}, max_time="1h30m", doc="# A heading")
    root["b"] = co.Parallel(max_concurrent=2, suppress_errors=True, env={"C": "b"})
    for name in ("x", "y", "z"):
        root["b"][name] = co.Exec("false", cpu=1, gpu=0, env={"D": "same"}, skip=name == "y")
    root["c"] = co.Serial(stop_on_error=False, container_reuse_context=co.ContainerReuseContext.NEW)
    root["c/in"] = co.Exec("true", docker_run_args=["--shm-size", "1g"], requires_docker=True)
    root["c/out"] = co.Exec("true", container_reuse_context=co.ContainerReuseContext.GLOBAL)
    root["d"] = co.Exec("true")
    root["d"].set(cpu=0.5, mem=0.25)
    return root


def old_names() -> co.Parallel:
    root = co.Parallel(same_container=co.SameContainer.NEW)
    root["x"] = co.Exec("true", same_container=co.SameContainer.ESCAPE)
    root["y"] = co.Exec("true", params=co.Params(cpu=3, tags="one"))
    return root


if __name__ == "__main__":
    co.main(default=pipeline)
