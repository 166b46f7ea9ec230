"""The releases on disk: written whole, made current by one atomic step, rolled back, verified.

A release is a folder `releases/<release_id>/` with one Parquet file a mart, a database of views
over them, a manifest, the contract and a README. It is written under a temporary name, flushed to
disk, renamed, and then made current by replacing a symbolic link; whatever is interrupted leaves
the previous release served. What the views read are copies that `succession.py` makes.

What goes into a mart, and whether it may be published, is decided before this module is called. The
databases of views are made in `serving.py`, the contract in `contract.py`.

To publish one mart more: add its name and key to `PUBLISHED_MARTS`; describe it and every column in
`minerals/marts/<name>.yml` (made in Python) or beside its SQL (made by dbt); refresh; run `minerals
contract --write`, which adds it to `contract.json` and to `docs/bi.md`; commit these. Nothing in
this package names a mart, `diff.py` apart.
"""

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from filelock import FileLock

from minerals.errors import ReleaseError
from minerals.files import fsync_path, sha256_of
from minerals.marts import PUBLISHED_MARTS
from minerals.releases import succession
from minerals.releases.contract import (
    CONTRACT,
    RELEASE_ID,
    Column,
    ContractColumn,
    PublishedMart,
    breaking_changes,
    contract_of,
    write_contract,
)
from minerals.releases.reproduction import code_version
from minerals.releases.serving import (
    PINNED,
    quoted,
    write_release_database,
    write_serving_database,
)

CURRENT = "current"
MANIFEST = "manifest.json"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Release:
    release_id: str
    path: Path
    marts: tuple[PublishedMart, ...]


@dataclass
class ReleaseStore:
    """The releases under one folder and the serving database beside them.

    `marts` is what a release must hold: each mart with its key. `agreed` is the contract that BI
    tools count on: a release that would break it is not published.
    """

    root: Path
    serving_database: Path
    keep: int = 5
    marts: Mapping[str, Sequence[str]] = field(default_factory=lambda: PUBLISHED_MARTS)
    agreed: Sequence[ContractColumn] = ()

    def publish(self, warehouse: duckdb.DuckDBPyConnection, facts: Mapping[str, Any]) -> Release:
        """Write every published mart of `warehouse` as a release and make it current.

        `facts` goes into the manifest as given (snapshots, fits, checks). Raises ReleaseError when
        a mart is missing, its key is not unique, the agreed contract would be broken or the disk is
        full; the release served before stays.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        release_id = _new_release_id()
        locked = FileLock(self.root / ".lock")
        with self._room(), locked, self._writing_folder(release_id) as folder:
            columns = {name: _columns(warehouse, name) for name in self.marts}
            made = contract_of(columns, self.marts)
            self._keep_contract(made)
            marts = tuple(
                _export(warehouse, name, key, columns[name], folder, release_id)
                for name, key in self.marts.items()
            )
            target = self.root / release_id
            write_contract(folder / CONTRACT, made)
            _write_readme(folder, release_id, marts)
            write_release_database(folder, target, marts)
            _write_manifest(folder, release_id, marts, facts)
            for file in folder.iterdir():
                fsync_path(file)
            fsync_path(folder)
            folder.rename(target)
            folder.parent.rmdir()
            fsync_path(self.root)
            self._make_current(release_id)
            write_serving_database(self.serving_database, self.root / CURRENT, marts)
            self._prune(release_id)
        return Release(release_id, target, marts)

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Say it in a sentence when the disk, or a quota, is full."""
        try:
            yield
        except (OSError, duckdb.IOException) as error:
            full = isinstance(error, OSError) and error.errno in _FULL
            if not full and not any(os.strerror(number) in str(error) for number in _FULL):
                raise
            raise ReleaseError(
                f"There is no room left for a release under {self.root} ({error}); the previous "
                "release stays served: free space, then run the job `estimate_and_rank` again."
            ) from error

    def _keep_contract(self, made: Sequence[ContractColumn]) -> None:
        broken = breaking_changes(self.agreed, made)
        if broken:
            raise ReleaseError(
                "The release would break what BI tools count on, so nothing is published and the "
                "previous release stays served:\n"
                + "\n".join(f"  {line}" for line in broken)
                + "\nGive what changed a new name and keep the old one; if the change is meant, "
                "`minerals contract --write` agrees to it."
            )

    def rollback(self, release_id: str | None = None) -> str:
        """Make an older release current (by default the one before); return its id.

        Raises ReleaseError when there is no such release or its files are not what they were. What
        fails on the way leaves the release that was served.
        """
        if not self.list():
            raise ReleaseError(f"There is no release under {self.root}.")
        with FileLock(self.root / ".lock"):
            target = self._before_current() if release_id is None else self.folder(release_id).name
            problems = self.verify(target)
            if problems:
                raise ReleaseError(f"Release {target} is not sound: {'; '.join(problems)}")
            manifest = self.manifest(target)
            assert manifest is not None
            marts = tuple(_mart_of(entry) for entry in manifest["marts"])
            before = self.current()
            self._make_current(target)
            try:
                write_serving_database(self.serving_database, self.root / CURRENT, marts)
            except BaseException:
                if before is not None:
                    self._point_at(before.name)
                raise
        return target

    def _before_current(self) -> str:
        current = self.current()
        older = [r for r in self.list() if current is not None and r < current.name]
        if not older:
            raise ReleaseError("There is no release before the current one to go back to.")
        return older[-1]

    def verify(self, release_id: str) -> list[str]:
        """Re-hash a release; what is wrong with it, empty when nothing is.

        Raises ReleaseError when there is no such release.
        """
        folder = self.folder(release_id)
        manifest = self.manifest(release_id)
        assert manifest is not None
        published = {f"{mart['name']}.parquet": mart["sha256"] for mart in manifest["marts"]}
        published = manifest.get("files", published)
        problems = []
        for name, sha256 in published.items():
            file = folder / name
            if not file.is_file():
                problems.append(f"{name} is missing")
            elif sha256_of(file) != sha256:
                problems.append(f"{name} is not the file that was published (sha256)")
        problems += succession.problems(folder)
        strange = {file.name for file in folder.glob("*.parquet")} - published.keys()
        problems += [f"{name} was added after publication" for name in sorted(strange)]
        return problems

    def folder(self, release_id: str) -> Path:
        """The folder of a release. Raises ReleaseError when there is none of that id."""
        if release_id not in self.list():
            raise ReleaseError(
                f"There is no release {release_id}. There are: {', '.join(self.list()) or 'none'}."
            )
        return self.root / release_id

    def current(self) -> Path | None:
        """The folder of the release being served; None before the first."""
        link = self.root / CURRENT
        return link.resolve() if link.exists() else None

    def manifest(self, release_id: str | None = None) -> dict[str, Any] | None:
        """The manifest of a release, by default the one being served; None when there is none."""
        folder = self.current() if release_id is None else self.root / release_id
        if folder is None or not folder.is_dir():
            return None
        try:
            content: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
            if not isinstance(content, dict):
                raise ValueError("it is no manifest")
        except (OSError, ValueError) as error:
            raise ReleaseError(
                f"{folder / MANIFEST} cannot be read ({error}): the release was changed after it "
                "was published. Run `minerals refresh` to publish it again."
            ) from error
        return content

    def list(self) -> list[str]:
        """Release ids, oldest first."""
        if not self.root.exists():
            return []
        return sorted(p.parent.name for p in self.root.glob(f"*/{MANIFEST}") if _is_release(p))

    def _make_current(self, release_id: str) -> None:
        current = self.current()
        if current is None or current.name != release_id:
            succession.prepare(self.root / release_id, current)
        self._point_at(release_id)

    def _point_at(self, release_id: str) -> None:
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
    def _writing_folder(self, release_id: str) -> Iterator[Path]:
        """A folder that has the release's name already, in one that does not count as a release."""
        self._remove_leftovers()
        around = self.root / f".writing-{uuid.uuid4().hex[:8]}"
        folder = around / release_id
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(around, ignore_errors=True)

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


def _is_release(manifest: Path) -> bool:
    folder = manifest.parent
    return not folder.is_symlink() and not folder.name.startswith(".")


def _new_release_id() -> str:
    """To the microsecond, so that the order of names is the order of publication."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z-{os.urandom(2).hex()}"


def _columns(warehouse: duckdb.DuckDBPyConnection, name: str) -> tuple[Column, ...]:
    """The columns of a mart as published: those of the warehouse, and the release they are of."""
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
    return (*columns, RELEASE_ID)


def _export(
    warehouse: duckdb.DuckDBPyConnection,
    name: str,
    key: Sequence[str],
    columns: tuple[Column, ...],
    folder: Path,
    release_id: str,
) -> PublishedMart:
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
        f"copy (select *, '{release_id}' as release_id from marts.{name} order by {keys}) "
        f"to '{quoted(file)}' "
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


def _mart_of(entry: Mapping[str, Any]) -> PublishedMart:
    columns = tuple(Column(**column) for column in entry["columns"])
    return PublishedMart(**{**entry, "columns": columns})


def _write_manifest(
    folder: Path, release_id: str, marts: Sequence[PublishedMart], facts: Mapping[str, Any]
) -> None:
    content = {
        "release_id": release_id,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "code_version": code_version(),
        **facts,
        "files": {file.name: sha256_of(file) for file in sorted(folder.iterdir())},
        "marts": [asdict(mart) for mart in marts],
    }
    (folder / MANIFEST).write_text(json.dumps(content, indent=2, default=str) + "\n")


def _write_readme(folder: Path, release_id: str, marts: Sequence[PublishedMart]) -> None:
    lines = [f"# Release {release_id}", "", "One Parquet file a mart.", ""]
    lines += ["| mart | rows | what it holds |", "|---|---:|---|"]
    lines += [f"| `{m.name}` | {m.row_count:,} | {m.description} |" for m in marts]
    lines += [
        "",
        f"`{PINNED}` is a DuckDB database of views over these files, with the descriptions as "
        "comments: open it read-only to stay with this release.",
        "",
        f"Hashes, inputs, checks and fits are in `{MANIFEST}`; every column with its type, unit "
        f"and description is in `{CONTRACT}`.",
        "",
    ]
    (folder / "README.md").write_text("\n".join(lines))
