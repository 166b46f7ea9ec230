"""What every source offers the ingestion: what it holds now, as a snapshot of checked tables."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from minerals.sources.snapshots import Original, Snapshot, SnapshotStore
from minerals.sources.tables import Source

DATASETS = ("bilateral_trade", "production", "country_indicators", "country_geography")
_ROWS_PER_GROUP = 100_000


@dataclass(frozen=True)
class Fetched:
    """What a source holds now: the hex sha256 of its original bytes, the tables they parse into
    (called only when no snapshot has them), and the files to keep as received."""

    sha256: str
    read_tables: Callable[[], Mapping[str, pa.Table]]
    originals: Iterable[tuple[Original, Path]] = ()

    @classmethod
    def from_files(
        cls,
        originals: Sequence[tuple[Original, Path]],
        read_tables: Callable[[], Mapping[str, pa.Table]],
    ) -> "Fetched":
        """What these files hold; the hash is of their names and hashes."""
        lines = sorted(f"{original.name} {original.sha256}" for original, _ in originals)
        return cls(hashlib.sha256("\n".join(lines).encode()).hexdigest(), read_tables, originals)


@dataclass(frozen=True)
class Provider:
    """A source and the way to ask it; `origin` names the file or service in messages."""

    source: Source
    fetch: Callable[[], Fetched]
    origin: str

    def ingest(self, store: SnapshotStore) -> tuple[Snapshot, bool]:
        """Make (or find) the snapshot of what the source holds now; and whether it is new.

        Raises SourceError when the source fails or does not keep its layout.
        """
        fetched, source = self.fetch(), self.source

        def write(folder: Path) -> Mapping[str, Path]:
            made, written = fetched.read_tables(), {}
            for name, layout in source.tables.items():
                rows = layout.checked(made[name], f"{self.origin}: table {name}")
                file = written[name] = folder / f"{name}.parquet"
                pq.write_table(rows, file, compression="zstd", row_group_size=_ROWS_PER_GROUP)
            return written

        layout, originals = source.layout, fetched.originals
        return store.create(
            source.dataset, source.description, fetched.sha256, layout, write, originals
        )
