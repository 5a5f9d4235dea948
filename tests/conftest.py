"""What all tests share: the helpers in ``tests/support`` and the shared data folder."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))  # makes ``support`` importable


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder with shared data: ``PAIRLOOP_SHARED``, or ``../shared`` beside the checkout."""
    folder = Path(os.environ.get("PAIRLOOP_SHARED") or HERE.parent.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"there is no shared data folder at {folder}; set PAIRLOOP_SHARED")
    return folder
