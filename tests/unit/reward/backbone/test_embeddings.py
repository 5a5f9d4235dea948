"""Embeddings on disk: computed once, kept through kills, and the same bits however they came about."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pairloop.kit.progress import Silent
from pairloop.kit.text import for_terminal

HERE = "reward.options.model"
TEXTS = [f"answer {'why ' * (i % 40)} {chr(97 + i % 26)} {i}" for i in range(150)]


class Watched(Silent):
    """Remembers what was reported; may end the work after so many reports."""

    def __init__(self, stop=None):
        self.labels, self.notes, self.done, self.stop = [], [], 0, stop

    def start(self, label, total=None):
        self.labels.append((label, total))

    def advance(self, n=1, note=""):
        self.done += n
        self.notes.append(note)
        if self.stop is not None and self.done >= self.stop:
            raise KeyboardInterrupt


@pytest.fixture
def stored(bert):
    """A function that opens the embeddings of a model in a cache folder."""
    from pairloop_reward.backbone.backbone import Settings, open_backbone
    from pairloop_reward.backbone.embeddings import Embeddings
    from pairloop_reward.backbone.location import locate

    def make(cache, progress=None, clock=None, opener=None):
        settings = Settings(locate(str(bert), where=HERE), budget=128)
        opener = opener or (lambda: open_backbone(settings))
        more = {} if clock is None else {"clock": clock}
        return Embeddings(opener, "k", cache, progress or Silent(), **more)

    return make


def units(texts=TEXTS):
    from pairloop_reward.backbone.embeddings import Unit

    return [Unit(text) for text in texts]


def never():
    raise AssertionError("the model was opened although everything is on disk")


def test_everything_is_computed_once(stored, tmp_path):
    first, cut = stored(tmp_path).embed(units())
    again, cut_again = stored(tmp_path, opener=never).embed(units()[::-1])
    assert np.array_equal(first, again[::-1])
    assert np.array_equal(cut, cut_again[::-1])


def test_with_and_without_cache_in_pieces_or_at_once_the_bits_are_the_same(stored, tmp_path):
    whole = stored(None).embed(units())[0]
    pieces = stored(tmp_path)
    pieces.embed(units(TEXTS[40:60]))
    assert np.array_equal(pieces.embed(units())[0], whole)
    assert np.array_equal(stored(None).embed(units(TEXTS[7:8]), remember=False)[0], whole[7:8])


def test_what_need_not_be_remembered_is_not_written(stored, tmp_path):
    stored(tmp_path).embed(units(), remember=False)
    assert not list(tmp_path.iterdir())


def test_a_mixture_of_known_and_fleeting_texts(stored, tmp_path):
    embeddings = stored(tmp_path)
    whole = stored(None).embed(units())[0]
    embeddings.embed(units(TEXTS[:10]))
    assert np.array_equal(embeddings.embed(units(TEXTS[5:20]), remember=False)[0], whole[5:20])


def test_an_interruption_keeps_what_was_done(stored, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        stored(tmp_path, Watched(stop=60)).embed(units())
    watched = Watched()
    found = stored(tmp_path, watched).embed(units())[0]
    assert 0 < watched.done <= len(TEXTS) - 60
    assert np.array_equal(found, stored(None).embed(units())[0])


def test_progress_says_how_many_and_how_long(stored):
    watched, ticks = Watched(), iter(range(100_000))
    stored(None, watched, clock=lambda: next(ticks) * 60.0).embed(units())
    assert watched.labels == [("encoding 150 texts", 150)]
    assert watched.done == 150
    assert watched.notes[0].startswith("about ")
    assert watched.notes[-1] == "about 0 s left"
    assert all(for_terminal(note, 60) == note for note in watched.notes)


def test_shards_appear_while_encoding_and_are_merged(stored, tmp_path):
    ticks = iter(range(100_000))
    found = stored(tmp_path, clock=lambda: next(ticks) * 20.0).embed(units())[0]
    folder = tmp_path / "vectors-k"
    assert len(list(folder.glob("*.cache"))) > 24
    assert np.array_equal(stored(tmp_path, opener=never).embed(units())[0], found)
    assert len(list(folder.glob("*.cache"))) == 1
    assert np.array_equal(stored(tmp_path, opener=never).embed(units())[0], found)


def test_a_damaged_shard_is_computed_again(stored, tmp_path):
    found = stored(tmp_path).embed(units())[0]
    shard = next((tmp_path / "vectors-k").glob("*.cache"))
    shard.write_bytes(shard.read_bytes()[:-3])
    assert np.array_equal(stored(tmp_path).embed(units())[0], found)


def test_a_disk_that_cannot_be_written_costs_a_warning(stored, tmp_path, caplog):
    (tmp_path / "vectors-k").write_text("in the way")
    stored(tmp_path).embed(units(TEXTS[:3]))
    assert "cannot be written" in caplog.text


def test_old_models_make_room(stored, tmp_path):
    for i in range(6):
        (tmp_path / f"vectors-{i}").mkdir()
        os.utime(tmp_path / f"vectors-{i}", (i, i))
    stored(tmp_path).embed(units(TEXTS[:3]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vectors-3", "vectors-4", "vectors-5", "vectors-k"]


def test_joined_texts_are_told_from_texts_alone():
    from pairloop.records import ResponseView
    from pairloop_reward.backbone.embeddings import Unit

    one, other = (ResponseView("r", "p", prompt, "yes", "g") for prompt in ("a", "b"))
    assert len({Unit("yes").key(), Unit("yes", one).key(), Unit("yes", other).key(), Unit("").key()}) == 4


KILLED = """
import os, signal, sys
from pathlib import Path
from pairloop.kit.progress import Silent
from pairloop_reward.backbone.backbone import Settings, open_backbone
from pairloop_reward.backbone.embeddings import Embeddings, Unit
from pairloop_reward.backbone.location import locate

class Killer(Silent):
    done = 0
    def advance(self, n=1, note=""):
        self.done += n
        if self.done > 80:
            os.kill(os.getpid(), signal.SIGKILL)

texts = Path(sys.argv[3]).read_text().split("\\n")
settings = Settings(locate(sys.argv[1], where="model"), budget=128)
ticks = iter(range(100_000))
store = Embeddings(lambda: open_backbone(settings), "k", Path(sys.argv[2]), Killer(), clock=lambda: next(ticks) * 4.0)
store.embed([Unit(text) for text in texts])
"""


@pytest.mark.slow
def test_a_kill_in_the_middle_costs_only_what_was_not_yet_written(stored, bert, tmp_path):
    (tmp_path / "texts").write_text("\n".join(TEXTS))
    cache = tmp_path / "cache"
    ended = subprocess.run([sys.executable, "-c", KILLED, str(bert), str(cache), str(tmp_path / "texts")], check=False)
    assert ended.returncode == -signal.SIGKILL
    watched = Watched()
    found = stored(cache, watched).embed(units())[0]
    assert 0 < watched.done < len(TEXTS)
    assert np.array_equal(found, stored(None).embed(units())[0])
    assert not list(Path(cache).rglob("*.tmp"))
