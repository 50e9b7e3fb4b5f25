"""The fixtures of the backend's tests; what they give is in backend_support."""

import sys
from pathlib import Path

import pytest

# The tests are imported without their folder on the path; its one helper module is shared.
sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("backend_support")

from backend_support import backend, data_dir, load, quiet  # noqa: E402

__all__ = ["backend", "data_dir", "load", "quiet"]
