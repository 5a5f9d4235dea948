"""Kill, resume, compare."""

import shutil
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from pairloop.testing.remote import tasks_by_key
from support.forkserver import Answer, ForkServer
from support.projection import differences, projection

Kill = tuple[str, int]


class Sweep:
    """One scenario with its uninterrupted run, and what kills make of it."""

    def __init__(self, server: ForkServer, folder: Path, scenario: str, mutant: str | None = None) -> None:
        self.scenario = scenario
        self.mutant = mutant
        self._server = server
        self._folder = folder
        self._numbers = count()
        place = self.place()
        self.whole = server.run(place, scenario, mutant=mutant, count_ticks=True)
        assert self.whole["outcome"] == "finished", self.whole
        self.expected = projection(place)
        shutil.rmtree(place.parent)

    @property
    def reached(self) -> dict[str, int]:
        """How often the uninterrupted run reaches each failpoint."""
        return dict(self.whole["reached"])

    def place(self) -> Path:
        """A new folder for one campaign; its remote lies beside it."""
        parent = self._folder / f"{self.scenario}-{next(self._numbers)}"
        parent.mkdir()
        return parent / "campaign"

    def problems(self, kills: Sequence[Kill], *, signal: str = "SIGKILL") -> list[str]:
        """Run with these kills one after the other, resume to the end, and say what differs: [] when all is well.

        A kill that is not reached (an earlier one changed the way) is no problem; the run just finishes.
        """
        place = self.place()
        try:
            for kill in kills:
                answer = self._server.run(place, self.scenario, kill=kill, signal=signal, mutant=self.mutant)
                if answer["outcome"] in ("error", "died"):
                    return [f"before the kill: {answer}"]
            return self.resumed(place)
        finally:
            shutil.rmtree(place.parent)

    def kill(self, place: Path, kill: Kill) -> None:
        """Run in this folder and be killed there."""
        answer = self._server.run(place, self.scenario, kill=kill, mutant=self.mutant)
        assert answer["outcome"] == "killed by signal 9", answer

    def resumed(self, place: Path) -> list[str]:
        """Run what is in this folder to its end, and say what differs from the uninterrupted run."""
        return self._compare(place, self._server.run(place, self.scenario, mutant=self.mutant))

    def was_killed(self, kill: Kill, signal: str = "SIGKILL") -> Answer:
        """What a run with this kill answers."""
        place = self.place()
        try:
            return self._server.run(place, self.scenario, kill=kill, signal=signal)
        finally:
            shutil.rmtree(place.parent)

    def _compare(self, place: Path, answer: dict[str, Any]) -> list[str]:
        if answer["outcome"] != "finished":
            return [f"resuming: {answer}"]
        remote = place.parent / "remote.sqlite3"
        twice = [key for key, tasks in tasks_by_key(remote).items() if len(tasks) > 1] if remote.exists() else []
        found = [f"{len(twice)} keys have more than one task"] if twice else []
        try:
            return found + differences(self.expected, projection(place))
        except Exception as error:  # noqa: BLE001 - a mutant may break anything, and that is a finding
            return [*found, f"{type(error).__name__}: {error}"]
