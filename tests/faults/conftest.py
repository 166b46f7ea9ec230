"""Broken on purpose, on copies of a warehouse of the small bundle: `make test-faults`."""

import pytest

from tests.integration.conftest import TestWarehouse, bundle_wheel, mini, own

__all__ = ["bundle_wheel", "mini", "own"]


@pytest.fixture(scope="session")
def refreshed(mini: TestWarehouse) -> TestWarehouse:
    return mini
