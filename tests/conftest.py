"""What all tests share: the order of the two kinds of tests, and nothing else."""

from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything under tests/integration carries the mark `integration`, and runs in one worker.

    These tests share one real refresh and are in order; the others may run beside them.
    """
    for item in items:
        if "integration" in Path(item.path).parts:
            item.add_marker(pytest.mark.integration)
            item.add_marker(pytest.mark.xdist_group("integration"))
