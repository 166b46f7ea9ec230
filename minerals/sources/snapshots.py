"""Immutable snapshots of raw data: written whole or not at all, verified before use.

A snapshot is a folder `raw/<dataset>/<snapshot_id>/` with one Parquet file a table, the publisher's
answers as received in `original/` (live profile), and a sidecar `snapshot.json`. Its id comes from
the original bytes and the layout they were parsed into, so an unchanged source makes no new
snapshot. Which snapshot is in use is one small pointer file; a pin holds it there.

Fetching and parsing belong to the modules of each source; loading into DuckDB to the orchestration.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from minerals.errors import SnapshotDamagedError

SIDECAR = "snapshot.json"
POINTER = "CURRENT"
PIN = "PINNED"
ORIGINALS = "original"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class SourceDescription:
    """Who published a dataset, under which licence, and how to cite it."""

    provider: str
    citation: str
    licence: str
    url: str


@dataclass(frozen=True)
class TableFile:
    """One Parquet file of a snapshot; `sha256` is of the Parquet bytes."""

    name: str
    row_count: int
    sha256: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Original:
    """One answer of a publisher, as received. `params` are without any key."""

    name: str
    url: str
    params: Mapping[str, str]
    status: int
    etag: str | None
    last_modified: str | None
    retrieved_at: str
    sha256: str
    n_bytes: int


@dataclass(frozen=True)
class Snapshot:
    """What the sidecar says. `sha256` is of the original bytes as the provider gave them."""

    dataset: str
    snapshot_id: str
    provider: str
    citation: str
    licence: str
    url: str
    retrieved_at: str
    sha256: str
    layout: str
    tables: tuple[TableFile, ...]
    path: Path = field(compare=False)
    originals: tuple[Original, ...] = ()

    @property
    def row_count(self) -> int:
        """Rows of the main table, the one named like the dataset."""
        return next(t.row_count for t in self.tables if t.name == self.dataset)

    def parquet(self, table: str) -> Path:
        return self.path / f"{table}.parquet"


@dataclass
class SnapshotStore:
    """The snapshots under one folder. Safe to call after any crash: leftovers are never read."""

    root: Path

    def create(
        self,
        dataset: str,
        source: SourceDescription,
        original_sha256: str,
        layout: str,
        write_tables: Callable[[Path], Mapping[str, Path]],
        originals: Callable[[], Iterable[tuple[Original, Path]]] = tuple,
    ) -> tuple[Snapshot, bool]:
        """Return the snapshot of these original bytes and whether it is new.

        `write_tables(folder)` writes Parquet files into `folder` and returns {table: file}; it is
        called only when no sound snapshot of the same bytes and layout exists. A damaged one is set
        aside (never read, never silently deleted) and made anew. `originals()` gives the files to
        keep beside the tables, each with what is known of it.
        """
        snapshot_id = _snapshot_id(dataset, layout, original_sha256)
        target = self.root / dataset / snapshot_id
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.parent / ".lock"), self._staging_folder(dataset) as folder:
            if target.exists():
                try:
                    return self.verify(dataset, snapshot_id), False
                except SnapshotDamagedError:
                    set_aside = f".damaged-{snapshot_id}-{uuid.uuid4().hex[:6]}"
                    target.rename(target.with_name(set_aside))
            files = write_tables(folder)
            kept = _keep_originals(folder / ORIGINALS, originals())
            snapshot = Snapshot(
                dataset=dataset,
                snapshot_id=snapshot_id,
                **asdict(source),
                retrieved_at=datetime.now(UTC).isoformat(timespec="seconds"),
                sha256=original_sha256,
                layout=layout,
                tables=tuple(_describe(name, path) for name, path in files.items()),
                path=target,
                originals=tuple(kept.values()),
            )
            _write_sidecar(folder / SIDECAR, snapshot)
            for path in [*files.values(), *kept, folder / SIDECAR]:
                fsync_path(path)
            fsync_path(folder)
            folder.rename(target)
            fsync_path(target.parent)
        return snapshot, True

    def use(self, snapshot: Snapshot) -> None:
        """Make this snapshot the one in use."""
        write_atomically(self.root / snapshot.dataset / POINTER, snapshot.snapshot_id + "\n")

    def pin(self, snapshot: Snapshot) -> None:
        """Use this snapshot and stay with it, whatever a refresh brings, until it is unpinned."""
        with self._choosing(snapshot.dataset):
            self.use(snapshot)
            write_atomically(self.root / snapshot.dataset / PIN, snapshot.snapshot_id + "\n")

    def use_unless_pinned(self, snapshot: Snapshot) -> None:
        """Make this snapshot the one in use; the pinned one, when an operator pinned one."""
        with self._choosing(snapshot.dataset):
            chosen = self.pinned_id(snapshot.dataset) or snapshot.snapshot_id
            write_atomically(self.root / snapshot.dataset / POINTER, chosen + "\n")

    def _choosing(self, dataset: str) -> FileLock:
        """Held while the pointer and the pin are changed, which are two files."""
        return FileLock(self.root / dataset / ".choosing.lock")

    def unpin(self, dataset: str) -> None:
        (self.root / dataset / PIN).unlink(missing_ok=True)

    def pinned_id(self, dataset: str) -> str | None:
        """The snapshot that an operator pinned; None when a refresh may move on."""
        pin = self.root / dataset / PIN
        return pin.read_text().strip() if pin.exists() else None

    def current_id(self, dataset: str) -> str | None:
        """The snapshot in use, unverified; None when there is none."""
        pointer = self.root / dataset / POINTER
        return pointer.read_text().strip() if pointer.exists() else None

    def current(self, dataset: str) -> Snapshot:
        """The snapshot in use, verified.

        Raises SnapshotDamagedError when there is none or when its files do not match its sidecar.
        """
        pointer = self.root / dataset / POINTER
        if not pointer.exists():
            raise SnapshotDamagedError(
                f"No snapshot of {dataset} is in use under {self.root / dataset}: "
                "run `minerals refresh` to ingest it."
            )
        return self.verify(dataset, pointer.read_text().strip())

    def list(self, dataset: str) -> list[str]:
        folder = self.root / dataset
        if not folder.exists():
            return []
        return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))

    def read(self, dataset: str, snapshot_id: str) -> Snapshot:
        """What the sidecar says, without hashing. Raises SnapshotDamagedError."""
        return _read_sidecar(self.root / dataset / snapshot_id)

    def verify(self, dataset: str, snapshot_id: str) -> Snapshot:
        """Read a snapshot and re-hash its files. Raises SnapshotDamagedError, saying which."""
        path = self.root / dataset / snapshot_id
        snapshot = _read_sidecar(path)
        stated = _snapshot_id(snapshot.dataset, snapshot.layout, snapshot.sha256)
        if stated != snapshot_id or dataset not in {table.name for table in snapshot.tables}:
            raise SnapshotDamagedError(f"{path / SIDECAR} is not of this snapshot; {_AGAIN}")
        for table in snapshot.tables:
            file = snapshot.parquet(table.name)
            if not file.exists():
                raise SnapshotDamagedError(f"{file} is missing; {_AGAIN}")
            if sha256_of(file) != table.sha256:
                raise SnapshotDamagedError(
                    f"{file} does not have the sha256 its sidecar states; {_AGAIN}"
                )
        return snapshot

    def verify_originals(self, snapshot: Snapshot) -> None:
        """Re-hash the publisher's answers, too (a refresh does not: it reads only the tables).

        Raises SnapshotDamagedError, saying which.
        """
        for original in snapshot.originals:
            file = snapshot.path / ORIGINALS / original.name
            if not file.exists():
                raise SnapshotDamagedError(f"{file} is missing; {_AGAIN}")
            if sha256_of(file) != original.sha256:
                raise SnapshotDamagedError(
                    f"{file} does not have the sha256 its sidecar states; {_AGAIN}"
                )

    @contextmanager
    def _staging_folder(self, dataset: str) -> Iterator[Path]:
        parent = self.root / dataset
        for leftover in parent.glob(".writing-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        folder = parent / f".writing-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


_AGAIN = "the snapshot is not used, and the next refresh writes it again."


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def fsync_path(path: Path) -> None:
    """Make a file or a folder's entries survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, text: str) -> None:
    """Replace a small text file so that a reader sees the old or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    temporary.write_text(text)
    fsync_path(temporary)
    temporary.replace(path)
    fsync_path(path.parent)


def _snapshot_id(dataset: str, layout: str, original_sha256: str) -> str:
    return hashlib.sha256(f"{dataset}\n{layout}\n{original_sha256}".encode()).hexdigest()[:16]


def _keep_originals(
    folder: Path, originals: Iterable[tuple[Original, Path]]
) -> dict[Path, Original]:
    """Copy the publisher's answers beside the tables; {copy: what is known of it}."""
    kept = {}
    for original, file in originals:
        folder.mkdir(exist_ok=True)
        copy = folder / original.name
        shutil.copyfile(file, copy)
        kept[copy] = original
    return kept


def _describe(name: str, path: Path) -> TableFile:
    schema: pa.Schema = pq.read_schema(path)
    return TableFile(
        name=name,
        row_count=pq.read_metadata(path).num_rows,
        sha256=sha256_of(path),
        columns={f.name: str(f.type) for f in schema},
    )


def _write_sidecar(path: Path, snapshot: Snapshot) -> None:
    content = asdict(snapshot)
    del content["path"]
    content["row_count"] = snapshot.row_count
    path.write_text(json.dumps(content, indent=2) + "\n")


def _read_sidecar(path: Path) -> Snapshot:
    sidecar = path / SIDECAR
    try:
        content: dict[str, Any] = json.loads(sidecar.read_text())
        del content["row_count"]
        content["tables"] = tuple(TableFile(**table) for table in content["tables"])
        content["originals"] = tuple(Original(**o) for o in content.get("originals", ()))
        return Snapshot(**content, path=path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotDamagedError(f"{sidecar} cannot be read ({error}); {_AGAIN}") from error
