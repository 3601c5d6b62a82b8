import pytest

from conducto_local.run.snapshots import SnapshotLimits, limits_from


def test_without_a_word_the_defaults_hold() -> None:
    assert limits_from({}) == SnapshotLimits(count=5, max_bytes=2 * 2**30)


def test_the_environment_sets_limits() -> None:
    found = limits_from({"CONDUCTO_MAX_SNAPSHOTS": "2", "CONDUCTO_MAX_SNAPSHOT_GB": "0.5"})

    assert found == SnapshotLimits(count=2, max_bytes=2**29)


@pytest.mark.parametrize("text", ["many", "0", "-1", "inf", "nan"])
def test_invalid_limit_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=f"CONDUCTO_MAX_SNAPSHOTS must be .*, got '{text}'"):
        limits_from({"CONDUCTO_MAX_SNAPSHOTS": text})
