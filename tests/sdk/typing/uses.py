"""Right and wrong uses of the author API; `test_author_types.py` runs type checkers over it.

Checkers must report each line that ends with ``# wrong`` and no other.
"""

import conducto as co


def train(rate: float, epochs: int = 3) -> None:
    assert rate * epochs > 0


def generate(count: int) -> co.Parallel:
    with co.Parallel() as tree:
        for number in range(count):
            co.Exec(f"echo {number}", name=str(number))
    return tree


class Region:
    name: str = ""


def regions(day: str) -> list[Region]:
    return []


def score(region: Region) -> float:
    return len(region.name)


def scaled(region: Region, factor: float) -> float:
    return len(region.name) * factor


def best(scores: list[float]) -> str:
    return str(max(scores))


def maps(day: str) -> None:
    planned = co.Exec(regions, day)
    scores = co.map(score, over=planned.result, name="{item.name}", max_concurrent=5, min_done=0.95)
    co.Exec(best, scores.results, params=co.Params(cpu=2))
    co.map(score, [Region()], params=co.Params(cpu=2), missing="drop")
    co.map(scaled, planned.result, fixed={"factor": 2.0})
    co.map(str, over=scores.results)
    co.Serial()["scores"] = scores
    scores.cpu = 2
    bare: co.Exec = planned
    assert bare.result
    co.map(score, over=["DE", "FR"])  # wrong
    co.map(best, over=scores.results)  # wrong
    co.map(score, over=co.Exec(best, [1.0]).result)  # wrong
    co.map(score, over=planned.result, batsh=3)  # wrong
    co.map(scaled, over=planned.result)  # wrong
    scores.result  # noqa: B018  # wrong


def not_a_tree() -> int:
    return 1


def right() -> co.Serial:
    image = co.Image("python:3.11-slim", copy_dir=".", install_pip=["pandas"])
    with co.Serial(image=image, cpu=2, mem=0.5, stop_on_error=False, max_time="1h") as root:
        co.Exec("make", name="build", env={"A": "1"}, retry_lost=2, doc="**Build**")
        co.Exec(train, 0.1, epochs=4, params=co.Params(name="train", gpu=1))
        with co.Parallel(name="all", max_concurrent=3, tags=["nightly"]) as group:
            group["one"] = co.Exec("true", container_reuse_context=co.ContainerReuseContext.NEW)
        co.Notebook("report.ipynb", year=2026, params=co.Params(name="report"))
    root["lazy"] = co.Lazy(generate, 3)
    root["shell"] = co.Lazy("python generate.py", mem=4)
    root.set(cpu=4, max_concurrent=2)
    return root


def wrong(root: co.Serial) -> None:
    co.Serial(imgae="python:3.11-slim")  # wrong
    co.Parallel(stop_on_error=True)  # wrong
    co.Parallel(cpu="2")  # wrong
    co.Exec("true", max_tme=1)  # wrong
    co.Exec("true", "false")  # wrong
    co.Exec("true", max_concurrent=1)  # wrong
    co.Exec(3)  # wrong
    co.Exec(train, 0.1, params=co.Params(cpus=2))  # wrong
    co.Exec("true", env={"A": 1})  # wrong
    co.Image("python:3.11-slim", copydir=".")  # wrong
    co.Image(install_pip="pandas")  # wrong
    co.Lazy(not_a_tree)  # wrong
    co.Lazy("python generate.py", memory=4)  # wrong
    co.Notebook("report.ipynb", columns=["a"])  # wrong
    root.set(stop_on_eror=True)  # wrong
    with co.Serial() as group:
        group.stop_on_errors  # noqa: B018  # wrong


def client(tree: co.Serial) -> list[int | None]:
    pipeline = co.launch(generate, 3, target="local", title="grid")
    reveal: co.Pipeline = co.launch(tree, target="cloud", tags=["nightly"])
    state: str = pipeline.wait(timeout=60, check=True)
    pipeline["/a"].modify(command="true", cpu=2, env={"A": None})
    pipeline.rerun("/a", failed=True)
    assert state in {reveal.state, pipeline.counts.done, pipeline.url}
    for change in pipeline.follow():
        assert change.path
    with pipeline.data.open("notes.txt", "w") as file:
        file.write("text")
    co.connect("cloud").secrets.set("KEY", "value", scope="org")
    again: co.Pipeline = pipeline.launch_again(depth=5)
    assert co.compare(pipeline, again.id).nodes
    pipeline.compare(3)  # wrong
    co.launch(tree, target="clod")  # wrong
    co.launch(3)  # wrong
    pipeline.wait(seconds=3)  # wrong
    pipeline.nodes(state="failed")  # wrong
    pipeline["/a"].modify(cpus=2)  # wrong
    pipeline["/a"].output()  # wrong
    co.latest("grid", sate="error")  # wrong
    with pipeline.data.open("model.bin") as binary:
        binary.write("text")  # wrong
    return [node.exit_code for node in pipeline.nodes("/tests/**", state="error")]


async def asynchronous(tree: co.Serial) -> str:
    pipeline = await co.aio.launch(tree, target="local")
    state: str = await pipeline.wait(timeout=60)
    result = await pipeline.rerun("/a", failed=True)
    assert result.affected >= 0
    assert await pipeline.data.read("a") == b""
    async for change in pipeline.follow():
        assert change.path
    await co.aio.launch(tree, target="clod")  # wrong
    await pipeline.rerun("/a", faild=True)  # wrong
    number: int = await pipeline.state()  # wrong
    assert number
    (node,) = await pipeline.nodes("/a")
    await node.modify(cpus=2)  # wrong
    text: str = await node.logs(tail=3)
    return state + text
