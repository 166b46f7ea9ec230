"""Broken on purpose, on copies of the shared warehouse: `make test-faults`."""

from tests.integration.conftest import bundle_wheel, own, refreshed

__all__ = ["bundle_wheel", "own", "refreshed"]
