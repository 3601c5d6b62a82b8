"""``co.shard`` in a Lazy balances by the times of earlier pipelines."""

import shlex
import sys
from pathlib import Path

import conducto as co
from support.local import local_runner

SUITE = """
mkdir -p reports
cat >reports/unit.xml <<'END'
<testsuite>
<testcase classname="a" name="slow" file="a.py" time="100"/>
<testcase classname="b" name="quick" file="b.py" time="1"/>
<testcase classname="c" name="quick" file="c.py" time="1"/>
</testsuite>
END
"""
GENERATE = """
import conducto as co


def main() -> co.Parallel:
    root = co.Parallel()
    for part in co.shard(["a.py", "b.py", "c.py"], 2):
        root["+".join(part)] = co.Exec("true")
    return root


co.main(default=main)
"""


JUNIT = {"junit": "*.xml"}


def tree(folder: Path, **lazy: object) -> co.Serial:
    root = co.Serial(image="x", title="shop")
    root["Test"] = co.Exec(f"cd {folder};{SUITE}", junit=str(folder / "reports/*.xml"))
    (folder / "generate.py").write_text(GENERATE)
    generate = shlex.join([sys.executable, str(folder / "generate.py")])
    root["Shards"] = co.Lazy(generate, **lazy)
    return root


async def test_lazy_shards_by_the_times_of_the_last_pipeline(tmp_path: Path) -> None:
    names = {}
    async with local_runner(tmp_path / "home", "process") as local:
        for title, lazy in [("first", JUNIT), ("with", JUNIT), ("without", {})]:
            run = await local.run(tree(tmp_path, **lazy))
            states = await run.states()
            assert set(states.values()) == {"done"}, await run.output("/Shards/Generate", "stderr")
            found = [path for path in states if path.startswith("/Shards/Execute/")]
            names[title] = [path.rpartition("/")[2] for path in found]

    assert names == {
        "first": ["a.py+c.py", "b.py"],
        "with": ["a.py", "b.py+c.py"],
        "without": ["a.py+c.py", "b.py"],
    }
