"""What all tests share: the mark of the integration tests, and a quiet exit."""

import gc
import os
from pathlib import Path

import pytest

# A hosted CI's shell would colour what is compared as text, or send loopback through a proxy.
for _name in ("GITHUB_ACTIONS", "FORCE_COLOR", "PY_COLORS", "TTY_COMPATIBLE"):
    os.environ.pop(_name, None)
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything under tests/integration carries the mark `integration`."""
    for item in items:
        if "integration" in Path(item.path).parts:
            item.add_marker(pytest.mark.integration)


def pytest_unconfigure() -> None:
    """Take Hypothesis' timer out of the garbage collector. While it is there, the collections at
    the exit of the interpreter do not free DuckDB's classes, and nanobind, with which DuckDB is
    bound, reports fifty lines of "leaked instances" that are none."""
    gc.callbacks[:] = [
        callback
        for callback in gc.callbacks
        if not str(getattr(callback, "__module__", "")).startswith("hypothesis")
    ]
