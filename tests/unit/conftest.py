"""What the unit tests share: nothing waits for the disk."""

import os

import pytest


@pytest.fixture(autouse=True)
def no_wait_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No unit test cuts the power, and a thousand small files a run would wait seconds for it."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
