"""Releases: the marts as Parquet, made current by one atomic step, and the database BI reads.

A release is a folder `releases/<release_id>/` with one Parquet file a mart, a manifest and a
README. It is written under a temporary name, flushed to disk, renamed, and then made current by
replacing a symbolic link; whatever is interrupted leaves the previous release served.
`serving.duckdb` holds only views over `releases/current/`, so a reader never meets the warehouse's
writer.

What goes into a mart, and whether it may be published, is decided before this module is called.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
from filelock import FileLock

from minerals.errors import ReleaseError
from minerals.marts import PUBLISHED_MARTS
from minerals.sources.snapshots import fsync_path, sha256_of, write_atomically

CURRENT = "current"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Column:
    """A published column, as the warehouse describes it."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class PublishedMart:
    """One Parquet file of a release; `sha256` is of the file."""

    name: str
    description: str
    row_count: int
    sha256: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Release:
    release_id: str
    path: Path
    marts: tuple[PublishedMart, ...]


@dataclass
class ReleaseStore:
    """The releases under one folder and the serving database beside them.

    `marts` is what a release must hold: each mart with its key.
    """

    root: Path
    serving_database: Path
    keep: int = 5
    marts: Mapping[str, Sequence[str]] = field(default_factory=lambda: PUBLISHED_MARTS)

    def publish(self, warehouse: duckdb.DuckDBPyConnection, facts: Mapping[str, Any]) -> Release:
        """Write every published mart of `warehouse` as a release and make it current.

        `facts` goes into the manifest as given (snapshots, fits, checks). Raises ReleaseError when
        a mart is missing or its key is not unique; the release served before stays.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / ".lock"), self._writing_folder() as folder:
            marts = tuple(_export(warehouse, name, key, folder) for name, key in self.marts.items())
            release_id = _release_id(marts)
            _write_manifest(folder, release_id, marts, facts)
            _write_readme(folder, release_id, marts)
            for file in folder.iterdir():
                fsync_path(file)
            fsync_path(folder)
            target = self.root / release_id
            folder.rename(target)
            fsync_path(self.root)
            self._make_current(release_id)
            self._write_serving_database(marts)
            self._prune(release_id)
        return Release(release_id, target, marts)

    def current(self) -> Path | None:
        """The folder of the release being served; None before the first."""
        link = self.root / CURRENT
        return link.resolve() if link.exists() else None

    def manifest(self) -> dict[str, Any] | None:
        """The manifest of the release being served; None before the first."""
        current = self.current()
        if current is None:
            return None
        try:
            content: dict[str, Any] = json.loads((current / MANIFEST).read_text())
        except (OSError, ValueError) as error:
            raise ReleaseError(
                f"{current / MANIFEST} cannot be read ({error}): the release was changed after it "
                "was published. Run `minerals refresh` to publish it again."
            ) from error
        return content

    def list(self) -> list[str]:
        """Release ids, oldest first."""
        if not self.root.exists():
            return []
        return sorted(p.parent.name for p in self.root.glob(f"*/{MANIFEST}") if _is_release(p))

    def _make_current(self, release_id: str) -> None:
        temporary = self.root / f".{CURRENT}-{uuid.uuid4().hex[:8]}"
        temporary.symlink_to(release_id, target_is_directory=True)
        temporary.replace(self.root / CURRENT)
        fsync_path(self.root)

    def _prune(self, current: str) -> None:
        old = [release for release in self.list() if release != current]
        for release in old[: max(0, len(old) - (self.keep - 1))]:
            # Gone from the list in one step: a half-removed folder never passes for a release.
            removed = (self.root / release).rename(self.root / f".removing-{release}")
            shutil.rmtree(removed, ignore_errors=True)

    @contextmanager
    def _writing_folder(self) -> Iterator[Path]:
        self._remove_leftovers()
        folder = self.root / f".writing-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _remove_leftovers(self) -> None:
        """Remove what an interrupted publication left; called under the lock, so nobody writes."""
        for pattern in (".writing-*", ".removing-*", f".{CURRENT}-*"):
            for leftover in self.root.glob(pattern):
                if leftover.is_symlink():
                    leftover.unlink()
                else:
                    shutil.rmtree(leftover, ignore_errors=True)
        for leftover in self.serving_database.parent.glob(".serving-*.duckdb*"):
            leftover.unlink()

    def _write_serving_database(self, marts: Sequence[PublishedMart]) -> None:
        """Build the database of views anew when the contract or the file itself changed; replace it
        in one step."""
        contract = json.dumps([_contract(mart) for mart in marts], sort_keys=True)
        contract += str(self.root)
        fingerprint = hashlib.sha256(contract.encode()).hexdigest()
        marker = self.root / ".serving-contract"
        if (
            self.serving_database.exists()
            and marker.exists()
            and marker.read_text().split() == [fingerprint, sha256_of(self.serving_database)]
        ):
            return
        temporary = self.serving_database.with_name(f".serving-{uuid.uuid4().hex[:8]}.duckdb")
        try:
            with duckdb.connect() as database:
                # The oldest format that holds views with comments: drivers of DuckDB 1 open it too.
                database.execute(
                    f"attach '{_quoted(temporary)}' as serving (storage_version 'v1.0.0')"
                )
                database.execute("use serving")
                database.begin()
                database.execute("create schema marts")
                for mart in marts:
                    _create_view(database, mart, self.root / CURRENT / f"{mart.name}.parquet")
                database.commit()
                database.execute("use memory")
                database.execute("detach serving")
            fsync_path(temporary)
            made = sha256_of(temporary)
            temporary.replace(self.serving_database)
            fsync_path(self.serving_database.parent)
        finally:
            temporary.unlink(missing_ok=True)
        write_atomically(marker, f"{fingerprint} {made}\n")


def _is_release(manifest: Path) -> bool:
    folder = manifest.parent
    return not folder.is_symlink() and not folder.name.startswith(".")


def _contract(mart: PublishedMart) -> dict[str, Any]:
    return {
        "name": mart.name,
        "description": mart.description,
        "columns": [asdict(column) for column in mart.columns],
    }


def _release_id(marts: Sequence[PublishedMart]) -> str:
    content = hashlib.sha256("".join(mart.sha256 for mart in marts).encode()).hexdigest()
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}Z-{content[:8]}-{os.urandom(2).hex()}"


def _export(
    warehouse: duckdb.DuckDBPyConnection, name: str, key: Sequence[str], folder: Path
) -> PublishedMart:
    columns = tuple(
        Column(*row)
        for row in warehouse.execute(
            "select column_name, data_type, coalesce(comment, '') from duckdb_columns() "
            "where schema_name = 'marts' and table_name = ? order by column_index",
            [name],
        ).fetchall()
    )
    if not columns:
        raise ReleaseError(
            f"Mart {name} is not in the warehouse, so nothing is published and the previous "
            "release stays served: run the whole `refresh` job, not a part of it."
        )
    keys = ", ".join(key)
    twice = warehouse.execute(
        f"select {keys}, count(*) from marts.{name} group by all having count(*) > 1 limit 3"
    ).fetchall()
    if twice:
        raise ReleaseError(
            f"Mart {name} has more than one row for ({keys}), for example {twice}; "
            "nothing is published and the previous release stays served."
        )
    comments = warehouse.execute(
        "select coalesce(comment, '') from duckdb_tables() "
        "where schema_name = 'marts' and table_name = ?",
        [name],
    ).fetchall()
    file = folder / f"{name}.parquet"
    warehouse.execute(
        f"copy (select * from marts.{name} order by {keys}) to '{_quoted(file)}' "
        "(format parquet, compression zstd)"
    )
    counted = warehouse.execute(f"select count(*) from marts.{name}").fetchall()
    return PublishedMart(
        name=name,
        description=comments[0][0] if comments else "",
        row_count=counted[0][0],
        sha256=sha256_of(file),
        columns=columns,
    )


def _create_view(database: duckdb.DuckDBPyConnection, mart: PublishedMart, parquet: Path) -> None:
    columns = ", ".join(f'"{column.name}"' for column in mart.columns)
    database.execute(
        f"create view marts.{mart.name} as select {columns} from read_parquet('{_quoted(parquet)}')"
    )
    database.execute(f"comment on view marts.{mart.name} is '{_quoted(mart.description)}'")
    for column in mart.columns:
        database.execute(
            f'comment on column marts.{mart.name}."{column.name}" '
            f"is '{_quoted(column.description)}'"
        )


def _quoted(text: object) -> str:
    return str(text).replace("'", "''")


def _write_manifest(
    folder: Path, release_id: str, marts: Sequence[PublishedMart], facts: Mapping[str, Any]
) -> None:
    content = {
        "release_id": release_id,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "code_version": version("mineral-sourcing-warehouse"),
        **facts,
        "marts": [asdict(mart) for mart in marts],
    }
    (folder / MANIFEST).write_text(json.dumps(content, indent=2, default=str) + "\n")


def _write_readme(folder: Path, release_id: str, marts: Sequence[PublishedMart]) -> None:
    lines = [f"# Release {release_id}", "", "One Parquet file a mart.", ""]
    lines += ["| mart | rows | what it holds |", "|---|---:|---|"]
    lines += [f"| `{m.name}` | {m.row_count:,} | {m.description} |" for m in marts]
    lines += ["", f"Column descriptions, hashes, inputs and fits are in `{MANIFEST}`.", ""]
    (folder / "README.md").write_text("\n".join(lines))
