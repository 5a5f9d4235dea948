"""A server for these tests: the fake, or the real one that the environment names (``make test-label-studio``)."""

from collections.abc import Iterator

import pytest
from support.studio import Studio, open_studio


@pytest.fixture(scope="module")
def server() -> Iterator[Studio]:
    with open_studio() as studio:
        yield studio


@pytest.fixture
def studio(server: Studio, monkeypatch: pytest.MonkeyPatch) -> Studio:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", server.token)
    return server


@pytest.fixture
def fake(studio: Studio) -> Studio:
    if studio.fake is None:
        pytest.skip("needs the fake: it changes what no API changes")
    return studio
