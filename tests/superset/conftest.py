"""The shared warehouse, for the test with a real Superset: `make test-superset`."""

from tests.integration.conftest import bundle_wheel, refreshed

__all__ = ["bundle_wheel", "refreshed"]
