"""What all tests share: the mark of the integration tests, and nothing else."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything under tests/integration carries the mark `integration`."""
    for item in items:
        if "integration" in Path(item.path).parts:
            item.add_marker(pytest.mark.integration)
