"""The errors this project raises on purpose, each a sentence for the person who reads it.

A message says what was wrong, where (file, row, column), and what to do. Errors of the estimator
live beside it.
"""


class MineralsError(Exception):
    """Base of the errors that carry a message for the operator, not a bug of ours."""


class SourceError(MineralsError):
    """A source file is missing, damaged or not of the expected layout."""


class SnapshotDamagedError(MineralsError):
    """A snapshot on disk is absent or does not match its sidecar."""


class ReleaseError(MineralsError):
    """A release cannot be written, read or served."""


class WarehouseError(MineralsError):
    """The warehouse cannot be opened, or what would be written does not fit its description."""


class AnotherRefreshRunsError(WarehouseError):
    """Another refresh of the same warehouse is under way."""
