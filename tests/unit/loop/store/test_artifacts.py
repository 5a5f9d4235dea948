"""Artifacts are whole and what they were, or they are not used."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pairloop.errors import CorruptionDetected, StorageFull
from pairloop.store import Store


def writer(**files: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for name, content in files.items():
            path = folder / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)

    return write


def stored(store: Store, **files: bytes) -> tuple[str, Path]:
    sha256, size = store.artifacts.store_bytes("reward", writer(**files))
    with store.transaction():
        store.artifacts.add_row(sha256, "reward", size, {"round": 1})
    return sha256, store.artifacts.path(sha256)


@pytest.fixture
def files() -> dict[str, bytes]:
    return {"model_json": b'{"a": 1}', "weights_bin": bytes(range(256)), "sub__more_txt": b"more"}


def test_the_same_content_is_stored_once(tmp_path: Path, files: dict[str, bytes]) -> None:
    with Store.open(tmp_path) as store:
        one, folder = stored(store, **files)
        assert stored(store, **files) == (one, folder)
        assert stored(store, **files | {"model_json": b"{}"})[0] != one
        assert sorted(p.name for p in folder.parent.iterdir()) == sorted(sha for sha, _ in store.artifacts.all())
        assert store.artifacts.meta(one) == {"round": 1}


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "weights.bin").write_bytes(bytes(range(255))),
        lambda f: (f / "weights.bin").write_bytes(bytes([1, *range(1, 256)])),
        lambda f: (f / "sub" / "more.txt").unlink(),
        lambda f: (f / "extra.txt").write_text(""),
        lambda f: (f / "model.json").rename(f / "other.json"),
        lambda f: (f / "model.json").write_bytes(b""),
    ],
    ids=["truncated", "bit flipped", "missing", "extra", "renamed", "emptied"],
)
def test_damage_is_found_before_it_is_used(
    tmp_path: Path, files: dict[str, bytes], damage: Callable[[Path], object]
) -> None:
    with Store.open(tmp_path) as store:
        sha256, folder = stored(store, **files)
        damage(folder)
        with pytest.raises(CorruptionDetected, match="does not match its hash"):
            store.artifacts.path(sha256)
        assert stored(store, **files) == (sha256, folder), "storing the same content again repairs it"


def test_every_bit_counts(tmp_path: Path, files: dict[str, bytes]) -> None:
    with Store.open(tmp_path) as store:
        sha256, folder = stored(store, **files)
        path = folder / "weights.bin"
        for position in range(0, 256, 16):
            content = bytearray(files["weights_bin"])
            content[position] ^= 1 << (position // 16 % 8)
            path.write_bytes(content)
            with pytest.raises(CorruptionDetected):
                store.artifacts.path(sha256)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store, pytest.raises(CorruptionDetected, match="the artifact 0000"):
        store.artifacts.path("0" * 64)


def test_an_orphan_is_harmless(tmp_path: Path, files: dict[str, bytes]) -> None:
    """Bytes without a row (a kill in between) are not found, and are used when they come again."""
    with Store.open(tmp_path) as store:
        sha256, _ = store.artifacts.store_bytes("reward", writer(**files))
        assert list(store.artifacts.all()) == []
        with pytest.raises(CorruptionDetected):
            store.artifacts.path(sha256)
        assert stored(store, **files)[0] == sha256
        assert store.check() == []


def test_what_a_killed_writer_left_half_written_is_thrown_away(tmp_path: Path, files: dict[str, bytes]) -> None:
    with Store.open(tmp_path) as store:
        incoming = tmp_path / "artifacts" / "reward" / ".incoming"
        incoming.mkdir(parents=True)
        (incoming / "half.bin").write_bytes(b"half")
        _, folder = stored(store, **files)
        assert not (folder / "half.bin").exists()
        assert not incoming.exists()


def test_a_failing_writer_leaves_nothing(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "half.bin").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with Store.open(tmp_path) as store:
        with pytest.raises(StorageFull, match="No space left"):
            store.artifacts.store_bytes("reward", fails)
        assert list((tmp_path / "artifacts" / "reward").iterdir()) == []
