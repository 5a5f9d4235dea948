"""The contract of annotation backends, kept by ``label-studio``."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from support.studio import Studio

from pairloop.protocols import Backend
from pairloop.records import Choice
from pairloop.testing.backends import BackendContract, Factory


class TestLabelStudio(BackendContract):
    polls: ClassVar[int] = 6
    studio: ClassVar[Studio]

    @pytest.fixture
    def backend_factory(self, studio: Studio) -> Factory:
        projects: dict[Path, object] = {}
        type(self).studio = studio

        def make(folder: Path) -> Backend:
            options = projects.setdefault(folder, studio.options())
            return studio.backend(folder, options, campaign="contract")  # type: ignore[arg-type]

        return make

    def answer(self, backend: Backend, choices: Mapping[str, Choice]) -> None:
        for key, task in backend.lookup(list(choices)).items():
            self.studio.vote(task, choices[key])
