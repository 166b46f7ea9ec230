"""Streamlit's test of a script puts its own module in the place of `__main__`, which a process that
another test starts would look for."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def the_main_module_comes_back() -> Iterator[None]:
    module = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = module
