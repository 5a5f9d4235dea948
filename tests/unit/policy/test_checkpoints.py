"""Checkpoints are whole or passed over."""

import resource

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from pairloop.errors import StorageFull  # noqa: E402
from pairloop_policy import checkpoints  # noqa: E402

TENSORS = {"policy": {"w": torch.arange(600.0)}, "optimizer": {"w:step": torch.tensor(3.0)}, "best": {}}


def write(folder, *steps, job="job"):
    for step in steps:
        checkpoints.save(folder, job, step, {"x": 0.1 + step}, TENSORS)


def test_what_was_saved_comes_back(tmp_path):
    write(tmp_path, 2, 10)
    found = checkpoints.latest(tmp_path, "job")
    assert found.state == {"x": 10.1}
    assert torch.equal(found.tensors["policy"]["w"], TENSORS["policy"]["w"])
    assert found.tensors["optimizer"]["w:step"].shape == ()
    assert found.damaged == ()


def test_only_the_newest_two_stay(tmp_path):
    write(tmp_path, 8, 9, 10)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000009", "step-000010"]


def test_checkpoints_of_another_job_do_not_count(tmp_path):
    write(tmp_path, 1, job="other")
    assert checkpoints.latest(tmp_path, "job") is None
    assert checkpoints.latest(tmp_path / "nothing", "job") is None


@pytest.mark.parametrize("file", ["policy.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_a_damaged_checkpoint_is_passed_over_and_named(tmp_path, file, damage):
    write(tmp_path, 1, 2)
    path = tmp_path / "step-000002" / file
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data[: len(data) // 2] if damage == "truncated" else data)
    found = checkpoints.latest(tmp_path, "job")
    assert found.state == {"x": 1.1}
    assert "step-000002" in found.damaged[0]


def test_a_half_written_checkpoint_does_not_count(tmp_path):
    write(tmp_path, 1, 2)
    (tmp_path / "step-000002").rename(tmp_path / ".step-000002.tmp")
    assert checkpoints.latest(tmp_path, "job").state == {"x": 1.1}


def test_a_full_disk_is_said_and_leaves_the_older_checkpoint(tmp_path):
    write(tmp_path, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StorageFull, match="step-000002"):
            write(tmp_path, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [p.name for p in tmp_path.iterdir()] == ["step-000001"]
    assert checkpoints.latest(tmp_path, "job").state == {"x": 1.1}
