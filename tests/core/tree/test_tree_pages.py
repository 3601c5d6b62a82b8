"""Pages of a tree: what a plain walk over all of it would answer, at the cost of the page."""

from hypothesis import given
from hypothesis import strategies as st

from conducto_core.run import handlers as tree_pages
from conducto_core.run.model.params import TreeParams
from conducto_core.run.model.states import NodeType, State
from conducto_core.run.rules.live_nodes import LiveExec, LiveGroup
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import NodeSpec, Pipeline, child_path


def tree_of(shape, states=()) -> TreeState:
    """Make a tree; ``shape`` is a list of children for a group, None for an Exec."""
    nodes = {}

    def add(path, one):
        if one is None:
            nodes[path] = NodeSpec(path, NodeType.EXEC, command=f"echo {path[-1:]}")
            return
        names = tuple(str(n) for n in range(len(one)))
        nodes[path] = NodeSpec(path, NodeType.PARALLEL, children=names)
        for name, child in zip(names, one, strict=True):
            add(child_path(path, name), child)

    add("/", shape)
    tree = TreeState(Pipeline(nodes, {}))
    execs = [node for node in tree.nodes.values() if isinstance(node, LiveExec)]
    for node, state in zip(execs, states, strict=False):
        tree.set_exec(node, state)
    return tree


def everything(tree: TreeState, **query) -> list[str]:
    """Page through with ``query``; every page but the last names the next one."""
    found, after = [], None
    for _ in range(1000):
        asked = TreeParams(id="p", after=after, **query)
        nodes, after = tree_pages.page_of_tree(tree, asked)
        found += [node.path for node in nodes]
        if after is None:
            return found
    raise AssertionError("the pages have no end")


shapes = st.recursive(st.none(), lambda below: st.lists(below, max_size=4), max_leaves=25)
groups = st.lists(shapes, max_size=4)
some_states = st.lists(st.sampled_from([State.DONE, State.ERROR, State.PENDING]), max_size=25)


@given(
    shape=groups,
    states=some_states,
    query=st.fixed_dictionaries(
        {
            "limit": st.integers(1, 5),
            "depth": st.none() | st.integers(0, 4),
            "state": st.sampled_from([None, State.ERROR, State.DONE]),
            "text": st.sampled_from([None, "/1", "ECHO 2"]),
        }
    ),
    data=st.data(),
)
def test_pages_contain_the_nodes_of_a_plain_walk(shape, states, query, data):
    tree = tree_of(shape, states)
    depth, state, text = query["depth"], query["state"], query["text"]
    root = data.draw(st.sampled_from(sorted(tree.nodes)))

    def is_wanted(node) -> bool:
        below = node.path.removeprefix(root).strip("/")
        level = len(below.split("/")) if below else 0
        command = node.spec.command.lower()
        return (
            (depth is None or level <= depth)
            and (state is None or (isinstance(node, LiveExec) and node.state is state))
            and (text is None or text.lower() in node.path or text.lower() in command)
        )

    expected = [n.path for n in tree.subtree(tree.nodes[root]) if is_wanted(n)]

    found = everything(tree, root=root, **query)

    assert found == expected


@given(shape=groups, data=st.data())
def test_page_continues_after_any_node(shape, data):
    tree = tree_of(shape)
    paths = [node.path for node in tree.subtree(tree.root)]
    after = data.draw(st.sampled_from(paths))

    nodes, _ = tree_pages.page_of_tree(tree, TreeParams(id="p", after=after))

    assert [node.path for node in nodes] == paths[paths.index(after) + 1 :]


class Watched(list):
    """Children that count the reads of their items."""

    looks = 0

    def __getitem__(self, index):
        Watched.looks += 1
        return super().__getitem__(index)


def watch(tree: TreeState) -> None:
    Watched.looks = 0
    for node in tree.nodes.values():
        if isinstance(node, LiveGroup):
            node.children = Watched(node.children)


def test_a_page_in_the_middle_costs_no_more_than_itself():
    tree = tree_of([[None] * 100 for _ in range(100)])
    watch(tree)

    nodes, _ = tree_pages.page_of_tree(tree, TreeParams(id="p", after="/50/50", limit=10))

    assert nodes[0].path == "/50/51"
    assert Watched.looks <= 12


def test_children_are_listed_without_looking_below_them():
    tree = tree_of([[None] * 1000, [None] * 1000])
    watch(tree)

    nodes, after = tree_pages.page_of_tree(tree, TreeParams(id="p", depth=1, limit=10))

    assert [node.path for node in nodes] == ["/", "/0", "/1"]
    assert after is None
    assert Watched.looks == 2


def test_a_search_by_state_does_not_enter_groups_without_it():
    tree = tree_of([[None] * 1000 for _ in range(50)])
    tree.set_exec(tree.exec_at("/49/7"), State.ERROR)
    watch(tree)

    nodes, _ = tree_pages.page_of_tree(tree, TreeParams(id="p", state=State.ERROR, limit=1))

    assert [node.path for node in nodes] == ["/49/7"]
    assert Watched.looks <= 1100


def test_a_search_for_waiting_execs_finds_queued_ones_and_those_that_wait_for_a_retry():
    tree = tree_of([[None] * 3, [None] * 3, [None] * 1000])
    tree.set_exec(tree.exec_at("/0/1"), State.QUEUED)
    tree.set_exec(tree.exec_at("/1/0"), State.RUNNING)
    tree.set_retry(tree.exec_at("/1/2"), 40.0)
    watch(tree)

    nodes, _ = tree_pages.page_of_tree(tree, TreeParams(id="p", waiting=True))

    assert [node.path for node in nodes] == ["/0/1", "/1/2"]
    assert Watched.looks <= 12


def test_search_reads_a_limited_number_of_nodes_per_page_and_continues():
    size = tree_pages.MAX_TREE_SCAN + 10
    tree = tree_of([[None] * size, None])
    first, after = tree_pages.page_of_tree(tree, TreeParams(id="p", text=f"/{size - 1}"))

    second, end = tree_pages.page_of_tree(
        tree, TreeParams(id="p", text=f"/{size - 1}", after=after)
    )

    assert (first, end) == ([], None)
    assert [node.path for node in second] == [f"/0/{size - 1}"]
