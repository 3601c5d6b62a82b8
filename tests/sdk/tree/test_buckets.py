"""Values that ``buckets`` accepts, their wire form, and inheritance."""

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto_core.tree.rules.resolve import resolve

RAW = co.Bucket("s3://acme/raw/2026")


def placed(root, path):
    return resolve(to_launch_form(root)).nodes[path].placement.buckets


def tree(**buckets):
    root = co.Serial(image="busybox", buckets={"/data/raw": RAW})
    root["a"] = co.Exec("true", **buckets)
    return root


def test_a_bucket_has_a_name_a_prefix_and_a_mode():
    assert (RAW.name, RAW.prefix, RAW.mode) == ("acme", "raw/2026", "ro")
    assert co.Bucket("s3://acme/", mode="rw").url == "s3://acme"
    assert co.Bucket("s3://acme/x") != co.Bucket("s3://acme/x", mode="rw")


def test_nodes_inherit_add_replace_and_remove():
    out = co.Bucket("s3://acme/out", mode="rw")
    assert placed(tree(), "/a") == (RAW.at("/data/raw"),)
    added = placed(tree(buckets={"/out": out}), "/a")
    assert [each.path for each in added] == ["/data/raw", "/out"]
    (replaced,) = placed(tree(buckets={"/data/raw": out}), "/a")
    assert replaced.url == "s3://acme/out"
    assert placed(tree(buckets={"/data/raw": None}), "/a") == ()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: co.Bucket("https://acme/raw"), "s3://BUCKET"),
        (lambda: co.Bucket("s3://Acme"), "s3://BUCKET"),
        (lambda: co.Bucket("s3://acme/a/../b"), "prefix of a bucket"),
        (lambda: co.Bucket("s3://acme//a"), "prefix of a bucket"),
        (lambda: co.Bucket(3), "s3://BUCKET"),
        (lambda: co.Bucket("s3://acme", mode="r"), "must be 'ro' or 'rw', got 'r'"),
        (lambda: co.Exec("true", buckets=[RAW]), "buckets must be"),
        (lambda: co.Exec("true", buckets={"/a": "s3://acme"}), "buckets must be"),
        (lambda: co.Exec("true", buckets={"data": RAW}), "absolute path"),
        (lambda: co.Exec("true", buckets={"/": RAW}), "empty parts"),
        (lambda: co.Exec("true", buckets={"/data/": RAW}), "empty parts"),
        (lambda: co.Exec("true", buckets={"/a/../conducto": RAW}), "must be without"),
        (lambda: co.Exec("true", buckets={"/conducto": RAW}), "must not be below /conducto"),
        (lambda: co.Exec("true", buckets={"/conducto/data/x": RAW}), "must not be below"),
    ],
)
def test_bad_values_are_refused_where_they_are_written(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("buckets", "message"),
    [
        ({"/data/raw/in": RAW}, "'/data/raw/in' is inside of '/data/raw'"),
        ({"/data": RAW}, "'/data/raw' is inside of '/data'"),
        ({f"/b{n}": RAW for n in range(8)}, "9 buckets, with inherited ones; the maximum is 8"),
    ],
)
def test_paths_that_overlap_and_too_many_are_refused(buckets, message):
    with pytest.raises(DefinitionError, match=message):
        placed(tree(buckets=buckets), "/a")


def test_nodes_that_share_a_container_need_the_same_buckets():
    root = co.Serial(image="busybox", container_reuse_context=co.ContainerReuseContext.NEW)
    root["a"] = co.Exec("true", buckets={"/a": RAW})
    root["b"] = co.Exec("true")
    with pytest.raises(DefinitionError, match="buckets"):
        placed(root, "/a")


def test_an_inherited_cache_is_off_with_the_reason():
    root = tree()
    root.cache = True
    spec = resolve(to_launch_form(root)).nodes["/a"]
    assert spec.cache is None
    assert "buckets, whose objects are undeclared inputs" in str(spec.cache_off)
