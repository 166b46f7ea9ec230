"""What every source offers the ingestion: what it holds now, as a snapshot of checked tables."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from minerals.files import sha256_of
from minerals.sources.snapshots import Original, Snapshot, SnapshotStore
from minerals.sources.tables import Source

DATASETS = (
    "bilateral_trade",
    "production",
    "mineral_summaries",
    "country_indicators",
    "country_geography",
    "export_restrictions",
)
_ROWS_PER_GROUP = 100_000


@dataclass(frozen=True)
class Fetched:
    """What a source holds now: the hex sha256 of its original bytes, the tables they parse into
    (called only when no snapshot has them), the files to keep as received, and a sentence on each
    thing that was asked for and is not there, or not as usual."""

    sha256: str
    read_tables: Callable[[], Mapping[str, pa.Table]]
    originals: Iterable[tuple[Original, Path]] = ()
    notes: Sequence[str] = ()

    @classmethod
    def from_files(
        cls,
        originals: Sequence[tuple[Original, Path]],
        read_tables: Callable[[], Mapping[str, pa.Table]],
        notes: Sequence[str] = (),
        read_with: Iterable[Path] = (),
    ) -> "Fetched":
        """What these files hold; the hash is of their names and hashes, and of those of our own
        files which they are `read_with`."""
        lines = sorted(f"{original.name} {original.sha256}" for original, _ in originals)
        lines += [f"{file.name} {sha256_of(file)}" for file in read_with]
        return cls(_sha256("\n".join(lines)), read_tables, originals, notes)

    @property
    def identity(self) -> str:
        """The hash with the notes, if there are any: other notes make another snapshot."""
        return _sha256("\n".join([self.sha256, *self.notes])) if self.notes else self.sha256


@dataclass(frozen=True)
class Provider:
    """A source and the way to ask it; `origin` names the file or service in messages. `stand_in` is
    what there is without the source, when there is no snapshot of it either."""

    source: Source
    fetch: Callable[[], Fetched]
    origin: str
    stand_in: Callable[[], Fetched] | None = None

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

        return store.create(
            source.dataset,
            source.description,
            fetched.identity,
            source.layout,
            write,
            fetched.originals,
            fetched.notes,
        )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
