"""The errors that this project raises on purpose, each with a message for the person who reads it.

A message says what is wrong, where (file, row, column), and what to do. Errors of the estimator are
defined beside it.
"""

from collections.abc import Sequence


def some(names: Sequence[str], most: int = 5) -> str:
    """The first of many names, as a message lists them: 'a, b and 3 more'."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if names[most:] else "")


class MineralsError(Exception):
    """Base of the errors whose message is for the operator; any other exception is a bug."""


class SettingsError(MineralsError):
    """A setting has a value that cannot be used, or there is no such setting."""


class SourceError(MineralsError):
    """A source file is missing, damaged or not of the expected layout."""


class TransientSourceError(SourceError):
    """A source failed in a way that may pass: busy, cut off, out of reach.

    Raised only after the retries of `sources/http.py` are used up.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class PermanentSourceError(SourceError):
    """A source refused the request itself: the same request fails again until somebody acts."""


class QuotaExhaustedError(TransientSourceError):
    """The day's allowance of a source is used up. What was fetched is kept, and a later refresh
    continues from there."""


class UnsoundAnswersError(SourceError):
    """What a source says of one importer does not hold together, although every answer came. The
    same is asked again by the next refresh."""


class SnapshotDamagedError(MineralsError):
    """A snapshot on disk is absent or does not match its sidecar."""


class ReleaseError(MineralsError):
    """A release cannot be written, read or served."""


class WarehouseError(MineralsError):
    """The warehouse cannot be opened, or a table does not fit its description."""


class AnotherRefreshRunsError(WarehouseError):
    """Another refresh of the same warehouse is running."""
