"""Faults at every call of a campaign: nothing is lost, doubled or misread, and no unanswered copy stays.

The comparison of both sides proves itself on deliberately broken variants of the backend.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.fault_proxy import AFTER, BEFORE, Fault, FaultProxy, proxying
from support.label_studio_day import Day
from support.studio import Studio

from pairloop.records import Choice
from pairloop_plugins.label_studio import codec, pull, push, transport

SAMPLE = (*BEFORE, *(fate for fate in AFTER if fate != "stalled"), "late", "unauthorized")
FOR_READS = ("reset", "before-5xx", "before-html", "busy", "truncated", "unauthorized")
IMPORT = r"POST /api/projects/\d+/import(\?|$)"


@pytest.fixture
def day(studio: Studio, tmp_path: Path) -> Iterator[Callable[..., Day]]:
    """A day through a proxy with these faults; every day in a project of its own."""
    with proxying(studio.url) as proxy:
        number = iter(range(1000))

        def make(*faults: Fault, **changes: object) -> Day:
            fresh = FaultProxy(studio.url)
            proxy.__dict__.update({**fresh.__dict__, "url": proxy.url, "faults": list(faults)})
            settings = {"late_commit": 0.0, "chunk": 3, "page": 4, "tries": 1, "timeout": 20.0, **changes}
            return Day(studio, proxy, tmp_path / str(next(number)), studio.options(url=proxy.url, **settings))

        yield make


def kinds(seen: list[str]) -> Counter[str]:
    """Requests by method and path, numbers left out, as patterns."""
    return Counter(re.sub(r"\d+", r"\\d+", call) + r"(\\?|$)".replace("\\\\", "\\") for call in seen)


def test_a_day_without_faults(day: Callable[..., Day]) -> None:
    today = day()
    assert today.problems() == []
    assert len(today.withdrawn) == 1
    assert sorted({vote.choice for vote in today.votes}) == sorted(Choice)
    assert sum(vote.deleted for vote in today.votes) == 1
    imports = [call for call in today.proxy.seen if re.search(IMPORT, call)]
    assert len(imports) == 4, "11 questions, 3 an import"


@pytest.mark.parametrize("fate", SAMPLE)
def test_one_fault_at_each_kind_of_call(day: Callable[..., Day], studio: Studio, fate: str) -> None:
    """What is done to a request that only reads matters less when the server saw it, too.

    A real server has less patience with us: it sees what is done to writes.
    """
    real = studio.fake is None
    if real and fate not in ("lost", "after-5xx"):
        pytest.skip("a day on a real server takes a quarter of a minute")
    whole = day()
    assert whole.problems() == []
    for pattern in kinds(whole.proxy.seen):
        if not pattern.startswith("GET") or (fate in FOR_READS and not real):
            today = day(Fault("^" + pattern, fate))
            assert today.problems() == [], pattern


@pytest.mark.slow
@pytest.mark.parametrize("fate", SAMPLE)
def test_one_fault_at_every_call(day: Callable[..., Day], fate: str) -> None:
    whole = day()
    assert whole.problems() == []
    for hit in range(1, len(whole.proxy.seen) + 1):
        today = day(Fault(".", fate, hit))
        assert today.problems() == [], (whole.proxy.seen[hit - 1], hit)


def test_an_answer_that_never_ends(day: Callable[..., Day]) -> None:
    """The time-out holds for the whole answer, and the import that it cut off is found."""
    today = day(Fault(IMPORT, "stalled", 1), timeout=0.5)
    assert today.problems() == []


@pytest.mark.parametrize("fate", ["late", "double", "lost"])
def test_trouble_at_every_import(day: Callable[..., Day], fate: str) -> None:
    """Late ones all become surplus, once `late_commit` was too short for them."""
    today = day(*(Fault(IMPORT, fate, hit) for hit in (1, 3, 4)))
    assert today.problems() == []


# --------------------------------------------------------------------- the comparison finds what is broken

Break = Callable[[pytest.MonkeyPatch], None]


def _no_look(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(push.Push, "find", lambda self, keys: self._ledger.primary(keys))


def _sent_again(patch: pytest.MonkeyPatch) -> None:
    once = transport.Transport.write

    def thrice(self: transport.Transport, *args: object, **options: object) -> object:
        for _ in range(2):
            try:
                return once(self, *args, **options)  # type: ignore[arg-type]
            except transport.Doubtful:
                continue
        return once(self, *args, **options)  # type: ignore[arg-type]

    patch.setattr(transport.Transport, "write", thrice)


def _doubt_is_failure(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(push, "Doubtful", ZeroDivisionError)
    _no_look(patch)


def _no_sweep(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pull.Pull, "_sweep", lambda _self: None)


def _no_deletions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pull.Pull, "_deleted", lambda _self, _tasks: [])


def _surplus_goes_whatever_it_holds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pull, "untouched", lambda *_: True)
    patch.setattr(pull.Pull, "_remove_surplus", lambda self: [
        self.remove(copy.id, copy.key)
        for copies in self._ledger.copies(self._ledger.doubled()).values() for copy in copies[1:]
    ])  # fmt: skip


def _one_page(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pull, "_TICK", pull.timedelta(days=-1))


def _swapped(patch: pytest.MonkeyPatch) -> None:
    made = codec.data_of

    def turned(*args: object) -> dict[str, object]:
        data = made(*args)  # type: ignore[arg-type]
        return {**data, "left": data["right"], "right": data["left"]}

    patch.setattr(codec, "data_of", turned)


def _edits_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(codec, "revision", lambda annotation, _content: str(annotation["id"]))
    patch.setattr(pull, "changed_after", lambda _moment: {
        "filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": 10**9
    })  # fmt: skip


def _skips_are_ties(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(codec, "_preference", lambda *_: Choice.TIE)


def _cancels_answered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pull, "untouched", lambda *_: True)
    patch.setattr(pull.Pull, "take", lambda *_args, **_options: None)


BROKEN: dict[str, tuple[Break, tuple[Fault, ...]]] = {
    "sends again without looking": (_no_look, (Fault(IMPORT, "lost"),)),
    "sends again by itself": (_sent_again, (Fault(IMPORT, "after-5xx"),)),
    "takes doubt for failure": (_doubt_is_failure, (Fault(IMPORT, "truncated"),)),
    "never sweeps": (_no_sweep, (Fault(IMPORT, "late"),)),
    "deletes copies whatever they hold": (_surplus_goes_whatever_it_holds, (Fault(IMPORT, "double"),)),
    "ignores deletions": (_no_deletions, ()),
    "skips what follows a page": (_one_page, ()),
    "swaps the sides": (_swapped, ()),
    "ignores edits": (_edits_ignored, ()),
    "takes skips for ties": (_skips_are_ties, ()),
    "withdraws what was answered": (_cancels_answered, ()),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_backend_is_found(
    fake: Studio, day: Callable[..., Day], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Without each of these cares, the same day ends with a difference between both sides, or does not end."""
    assert fake.fake is not None
    broken, faults = BROKEN[name]
    whole = day(*faults)
    assert whole.problems() == [], "with its cares it is sound"
    monkeypatch.setattr(push, "_LOOKS", ())
    assert day(*faults).problems() == [], "also when nothing is looked up again at once"
    broken(monkeypatch)
    try:
        found = day(*faults).problems()
    except Exception as error:  # noqa: BLE001 - a broken backend may also fail
        found = [repr(error)]
    assert found
