"""Immutable snapshots of raw data: written whole or not at all, verified before use.

A snapshot is a folder `raw/<dataset>/<snapshot_id>/` with one Parquet file per table, the
publisher's answers as received in `original/` (live profile), and a sidecar `snapshot.json`. Its id
comes from the original bytes and the layout they were parsed into, so an unchanged source makes no
new snapshot. One small pointer file names the snapshot in use; a pin keeps it in use.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from minerals.errors import SnapshotDamagedError
from minerals.files import fsync_path, sha256_of, write_atomically

SIDECAR = "snapshot.json"
POINTER = "CURRENT"
PIN = "PINNED"
ORIGINALS = "original"
_REMEDY = "the snapshot is not used, and the next refresh writes it again."


@dataclass(frozen=True)
class TableFile:
    """One Parquet file of a snapshot; `sha256` is of the Parquet bytes."""

    name: str
    row_count: int
    sha256: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Original:
    """One answer of a publisher, as received. `params` never hold a key."""

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
    """What the sidecar says. `sha256` is of the original bytes as the provider gave them, and of
    the `notes`, if any, on what was asked for and is not in them."""

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
    path: Path = field(default=Path(), compare=False)
    originals: tuple[Original, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def row_count(self) -> int:
        """Rows of the main table, which has the name of the dataset."""
        return next(t.row_count for t in self.tables if t.name == self.dataset)

    def parquet(self, table: str) -> Path:
        return self.path / f"{table}.parquet"


_AS_JSON = TypeAdapter(Snapshot)


@dataclass
class SnapshotStore:
    """The snapshots under one folder. Safe to use after any crash: leftovers are never read."""

    root: Path

    def create(
        self,
        dataset: str,
        description: Mapping[str, str],
        original_sha256: str,
        layout: str,
        write_tables: Callable[[Path], Mapping[str, Path]],
        originals: Iterable[tuple[Original, Path]] = (),
        notes: Iterable[str] = (),
    ) -> tuple[Snapshot, bool]:
        """Return the snapshot of these original bytes and whether it is new.

        `description` holds the source's `provider`, `citation`, `licence` and `url`.
        `write_tables(folder)` writes Parquet files into `folder` and returns {table: file}; it is
        called only when no sound snapshot of the same bytes and layout exists. A damaged one is set
        aside (never read, never deleted) and written again. `originals` are the files to keep
        beside the tables, each with its description; `notes` are for the reader of the snapshot.
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
            kept = {folder / ORIGINALS / answer.name: (answer, file) for answer, file in originals}
            for copy, (_, file) in kept.items():
                copy.parent.mkdir(exist_ok=True)
                self._keep(file, copy)
            snapshot = Snapshot(
                dataset=dataset,
                snapshot_id=snapshot_id,
                **description,
                retrieved_at=datetime.now(UTC).isoformat(timespec="seconds"),
                sha256=original_sha256,
                layout=layout,
                tables=tuple(_describe(name, path) for name, path in files.items()),
                path=target,
                originals=tuple(answer for answer, _ in kept.values()),
                notes=tuple(notes),
            )
            content = _AS_JSON.dump_python(snapshot, mode="json", exclude={"path"})
            content["row_count"] = snapshot.row_count
            (folder / SIDECAR).write_text(json.dumps(content, indent=2) + "\n")
            for path in [*files.values(), *kept, folder / SIDECAR, folder]:
                fsync_path(path)
            folder.rename(target)
            fsync_path(target.parent)
        return snapshot, True

    def use(self, snapshot: Snapshot, pin: bool = False) -> None:
        """Make this snapshot the one in use, or the pinned one when an operator pinned one; with
        `pin`, use it whatever a refresh brings, until it is unpinned."""
        folder = self.root / snapshot.dataset
        with FileLock(folder / ".choosing.lock"):  # the pointer and the pin change together
            if pin:
                write_atomically(folder / PIN, snapshot.snapshot_id + "\n")
            chosen = self.pinned_id(snapshot.dataset) or snapshot.snapshot_id
            write_atomically(folder / POINTER, chosen + "\n")

    def unpin(self, dataset: str) -> None:
        (self.root / dataset / PIN).unlink(missing_ok=True)

    def pinned_id(self, dataset: str) -> str | None:
        """The snapshot that an operator pinned; None when a refresh may move on."""
        return self._named_by(dataset, PIN)

    def current_id(self, dataset: str) -> str | None:
        """The snapshot in use, unverified; None when there is none."""
        return self._named_by(dataset, POINTER)

    def _named_by(self, dataset: str, file: str) -> str | None:
        path = self.root / dataset / file
        return path.read_text().strip() if path.exists() else None

    def current(self, dataset: str) -> Snapshot:
        """The snapshot in use, verified.

        Raises SnapshotDamagedError when there is none or when its files do not match its sidecar.
        """
        snapshot_id = self.current_id(dataset)
        if snapshot_id is None:
            raise SnapshotDamagedError(
                f"No snapshot of {dataset} is in use under {self.root / dataset}: "
                "run `minerals refresh` to ingest it."
            )
        return self.verify(dataset, snapshot_id)

    def list(self, dataset: str) -> list[str]:
        folder = self.root / dataset
        if not folder.exists():
            return []
        return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))

    def read(self, dataset: str, snapshot_id: str) -> Snapshot:
        """What the sidecar says, without hashing. Raises SnapshotDamagedError."""
        path = self.root / dataset / snapshot_id
        sidecar = path / SIDECAR
        try:
            return replace(_AS_JSON.validate_json(sidecar.read_bytes()), path=path)
        except (OSError, ValidationError) as error:
            why = error.strerror if isinstance(error, OSError) else error.errors()[0]["msg"]
            raise SnapshotDamagedError(f"{sidecar} cannot be read ({why}); {_REMEDY}") from error

    def verify(self, dataset: str, snapshot_id: str) -> Snapshot:
        """Read a snapshot and hash its tables again. Raises SnapshotDamagedError, naming the file.

        A refresh reads only the tables; `verify_originals` hashes the publisher's answers, too.
        """
        snapshot = self.read(dataset, snapshot_id)
        stated = _snapshot_id(snapshot.dataset, snapshot.layout, snapshot.sha256)
        if stated != snapshot_id or dataset not in {table.name for table in snapshot.tables}:
            raise SnapshotDamagedError(
                f"{snapshot.path / SIDECAR} belongs to another snapshot; {_REMEDY}"
            )
        for table in snapshot.tables:
            _check_sha256(snapshot.parquet(table.name), table.sha256)
        return snapshot

    def verify_originals(self, snapshot: Snapshot) -> None:
        """Hash the publisher's answers again. Raises SnapshotDamagedError, naming the file."""
        for original in snapshot.originals:
            _check_sha256(snapshot.path / ORIGINALS / original.name, original.sha256)

    def _keep(self, file: Path, copy: Path) -> None:
        """Our own files are replaced, never changed, so that many snapshots may share one."""
        if file.is_relative_to(self.root.parent):
            with suppress(OSError):
                copy.hardlink_to(file)
                return
        shutil.copyfile(file, copy)

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


def _snapshot_id(dataset: str, layout: str, original_sha256: str) -> str:
    return hashlib.sha256(f"{dataset}\n{layout}\n{original_sha256}".encode()).hexdigest()[:16]


def _check_sha256(file: Path, expected: str) -> None:
    if not file.exists():
        raise SnapshotDamagedError(f"{file} is missing; {_REMEDY}")
    if sha256_of(file) != expected:
        raise SnapshotDamagedError(
            f"{file} does not have the sha256 that its sidecar states; {_REMEDY}"
        )


def _describe(name: str, path: Path) -> TableFile:
    columns = {column.name: str(column.type) for column in pq.read_schema(path)}
    return TableFile(name, pq.read_metadata(path).num_rows, sha256_of(path), columns)
