"""The releases on disk: written whole, served in one step, rolled back, verified, pruned.

    releases/<contract>/<release_id>/   one Parquet file per mart, release.duckdb, manifest.json,
                                        contract.json, README.md; published.json once it was served
    releases/<contract>/current.csv     the release of this contract that readers see
    releases/current                    link to the release being served, for people

`<contract>` is the fingerprint of names and types (`contract.py`). What is served is the first
release in `current.csv` of the contract that `serving.duckdb` reads (`serving.py`). To publish:

1. Write the release under `releases/.writing-*`, which no view lists; flush it; rename it.
2. Replace `current.csv`. The release is served now, unless its contract is another one.
3. Replace `serving.duckdb` when the contract or its words changed. A new contract is served now;
   whoever still has the database before open keeps seeing the last release of that contract.
4. Write `published.json` into the release, turn the link, remove what is too old.

After a crash before the step that serves it, a release has no `published.json`, is not served and
not listed, and goes with the next publication. After a crash behind that step it is served and
listed, and the next publication writes `published.json`. To roll back is to do steps 2 to 4 with
an older release. A release in another layout is not listed, and removed after a day.

What goes into a mart, and whether it may be published, is decided before this module is called.
"""

import errno
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from filelock import FileLock

from minerals.errors import ReleaseError
from minerals.files import fsync_path, sha256_of, write_atomically
from minerals.marts import Mart, published
from minerals.releases.contract import (
    CONTRACT,
    RELEASE_ID,
    contract_changes,
    fingerprint,
    made_contract,
    read_contract,
    write_contract,
)
from minerals.releases.reproduction import code_version
from minerals.releases.serving import (
    PINNED,
    contract_served,
    quoted,
    read_pointer,
    write_pointer,
    write_release_database,
    write_serving_database,
)

CURRENT = "current"
MANIFEST = "manifest.json"
PUBLISHED = "published.json"
DAY = 86_400  # seconds: a release stays that long after it was served last
_CONTRACTS = "[0-9a-f]" * 12
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class PublishedMart:
    """One Parquet file of a release; `sha256` is of the file."""

    name: str
    row_count: int
    sha256: str


@dataclass(frozen=True)
class Release:
    """`contract_changes` says what differs from the contract of the release served before."""

    release_id: str
    path: Path
    marts: tuple[PublishedMart, ...]
    contract_changes: tuple[str, ...]


@dataclass
class ReleaseStore:
    """The releases under one folder and the serving database beside it.

    `keep` releases stay, and those served within the last day; so does the oldest of each contract
    (`serving.py` says why). `marts` is what a release must hold; by default all that are declared.
    """

    root: Path
    serving_database: Path
    keep: int = 5
    marts: Mapping[str, Mart] | None = None

    def publish(self, warehouse: duckdb.DuckDBPyConnection, facts: Mapping[str, Any]) -> Release:
        """Write every mart of `warehouse` as a release and serve it.

        `facts` goes into the manifest as given (snapshots, fits, checks). Raises ReleaseError when
        a mart is not as declared, its key is not unique, or the disk is full; the release served
        before stays.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with self._room(), FileLock(self.root / ".lock"):
            self._clean()
            contract, problems = made_contract(warehouse, (self.marts or published()).values())
            if problems:
                raise ReleaseError(
                    "The marts in the warehouse are not as declared, so nothing is published and "
                    "the previous release stays served:\n"
                    + "\n".join(f"  {line}" for line in problems)
                    + "\nCorrect the declaration (minerals/marts/<mart>.yml; for a mart made by "
                    "dbt dbt_project/models/marts/<mart>.yml) or what makes the mart, then run the "
                    "whole job `refresh`."
                )
            try:
                release = self._write(warehouse, contract, facts)
                self._serve(release.path)
            except BaseException:
                self._clean()
                raise
            self._prune()
        return release

    def rollback(self, release_id: str | None = None) -> str:
        """Serve an older release (by default the one before) again; return its id.

        Raises ReleaseError when there is no such release or its files are not what they were. What
        fails on the way leaves the release that was served.
        """
        if not self.list():
            raise ReleaseError(f"There is no release under {self.root}.")
        with FileLock(self.root / ".lock"):
            self._clean()
            target = self.folder(self._before_current() if release_id is None else release_id)
            problems = self.verify(target.name)
            if problems:
                raise ReleaseError(f"Release {target.name} is not sound: {'; '.join(problems)}")
            self._serve(target)
        return target.name

    def verify(self, release_id: str) -> list[str]:
        """Re-hash a release; what is wrong with it, empty when nothing is.

        Raises ReleaseError when there is no such release.
        """
        folder = self.folder(release_id)
        recorded = _read_manifest(folder)["files"]
        problems = []
        for name, sha256 in recorded.items():
            file = folder / name
            if not file.is_file():
                problems.append(f"{name} is missing")
            elif sha256_of(file) != sha256:
                problems.append(f"{name} is not the file that was published (sha256)")
        strange = {file.name for file in folder.glob("*.parquet")} - recorded.keys()
        return [*problems, *(f"{name} was added after publication" for name in sorted(strange))]

    def folder(self, release_id: str) -> Path:
        """The folder of a release. Raises ReleaseError when there is none of that id."""
        folders = {folder.name: folder for folder in self._folders()}
        if release_id not in folders:
            raise ReleaseError(
                f"There is no release {release_id}. There are: {', '.join(folders) or 'none'}."
            )
        return folders[release_id]

    def current(self) -> Path | None:
        """The folder of the release being served; None before the first.

        Without a sound serving database it is the release that was served last.
        """
        contract = contract_served(self.serving_database, self._contracts())
        for folder in [contract / name for name in read_pointer(contract)] if contract else ():
            if folder.is_dir():
                return folder
        return max(self._marked(), key=_last_served, default=None)

    def manifest(self, release_id: str | None = None) -> dict[str, Any] | None:
        """The manifest of a release, by default the one being served; None when there is none.

        Raises ReleaseError when it cannot be read.
        """
        if release_id is None:
            folder = self.current()
        else:
            folder = next((f for f in self._folders() if f.name == release_id), None)
        return None if folder is None else _read_manifest(folder)

    def list(self) -> list[str]:
        """Release ids, oldest first."""
        return [folder.name for folder in self._folders()]

    def _contracts(self) -> Sequence[Path]:
        return sorted(self.root.glob(_CONTRACTS))

    def _marked(self) -> Sequence[Path]:
        return [file.parent for file in self.root.glob(f"{_CONTRACTS}/*/{PUBLISHED}")]

    def _folders(self) -> Sequence[Path]:
        """The releases that are or were served, oldest first."""
        current = self.current()
        folders = {*self._marked(), *([] if current is None else [current])}
        return sorted(folders, key=lambda folder: folder.name)

    def _before_current(self) -> str:
        current = self.current()
        older = [name for name in self.list() if current is not None and name < current.name]
        if not older:
            raise ReleaseError("There is no release before the current one to go back to.")
        return older[-1]

    def _write(
        self,
        warehouse: duckdb.DuckDBPyConnection,
        contract: Sequence[Mart],
        facts: Mapping[str, Any],
    ) -> Release:
        """Write a release that nobody sees yet."""
        # To the microsecond, so that the order of names is the order of publication.
        release_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z-{os.urandom(2).hex()}"
        target = self.root / fingerprint(contract) / release_id
        folder = self.root / f".writing-{release_id}" / release_id
        folder.mkdir(parents=True)
        marts = [_export(warehouse, mart, folder, release_id) for mart in contract]
        changes = self._changes(contract)
        write_contract(folder / CONTRACT, contract)
        _write_readme(folder, release_id, contract, marts)
        write_release_database(folder, target, contract)
        _write_manifest(folder, release_id, marts, {**facts, "contract_changes": changes})
        for file in folder.iterdir():
            if file.suffix in (".parquet", ".duckdb"):
                file.chmod(0o444)  # not the folder: its owner could not delete or move it then
            fsync_path(file)
        fsync_path(folder)
        target.parent.mkdir(exist_ok=True)
        folder.rename(target)
        folder.parent.rmdir()
        fsync_path(target.parent)
        return Release(release_id, target, tuple(marts), tuple(changes))

    def _changes(self, contract: Sequence[Mart]) -> Sequence[str]:
        """How the contract differs from that of the release being served."""
        current = self.current()
        if current is None:
            return []
        try:
            return contract_changes(read_contract(current / CONTRACT), contract)
        except (OSError, ValueError, TypeError) as error:
            return [f"not compared: {CONTRACT} of {current.name} cannot be read ({error})"]

    def _serve(self, folder: Path) -> None:
        """Steps 2 to 4. What fails leaves the release that was served."""
        contract, before = folder.parent, self.current()
        served, marts = read_pointer(contract), read_contract(folder / CONTRACT)
        if before is not None:
            _mark(before)  # it was served until now
        try:
            write_pointer(contract, [folder.name, *served])
            self._drop_damaged(contract)
            write_serving_database(self.serving_database, contract, marts)
        except BaseException:
            write_pointer(contract, served)
            raise
        _mark(folder)
        self._turn_link(folder)

    def _drop_damaged(self, contract: Path) -> None:
        """Remove the oldest release of a contract while DuckDB cannot read the columns of its
        files: it takes those of every release from there."""
        served = read_pointer(contract)[0]
        for name in sorted(entry.name for entry in contract.iterdir() if entry.is_dir()):
            files = [str(file) for file in (contract / name).glob("*.parquet")]
            try:
                with duckdb.connect() as connection:
                    connection.execute("select count(*) from parquet_schema(?)", [files])
                return
            except duckdb.Error:
                if name == served:
                    raise
            self._remove(contract / name)

    def _turn_link(self, folder: Path) -> None:
        link, temporary = self.root / CURRENT, self.root / f".{CURRENT}-{uuid.uuid4().hex[:8]}"
        temporary.symlink_to(folder.relative_to(self.root), target_is_directory=True)
        if link.is_dir() and not link.is_symlink():  # in a copy that followed the link
            self._remove(link)
        temporary.replace(link)
        fsync_path(self.root)

    def _clean(self) -> None:
        """Put right what an interruption left; called under the lock, so nobody else writes."""
        for leftover in self.serving_database.parent.glob(".serving-*.duckdb*"):
            leftover.unlink()
        patterns = [".writing-*", ".removing-*", f".{CURRENT}-*", ".serving-contract"]
        for pattern in (*patterns, f"{_CONTRACTS}/.*", f"{_CONTRACTS}/*/.*"):
            for leftover in self.root.glob(pattern):
                _delete(leftover)
        current = self.current()
        if current is not None and not (current / PUBLISHED).exists():
            _mark(current)
        for contract in self._contracts():
            releases = [entry for entry in contract.iterdir() if entry.is_dir()]
            unserved = [release for release in releases if not (release / PUBLISHED).exists()]
            for folder in [contract] if len(unserved) == len(releases) else unserved:
                self._remove(folder)

    def _prune(self) -> None:
        """Remove releases that are neither among the newest nor served within the last day."""
        current = self.current()
        assert current is not None
        others = [name for name in self.list() if name != current.name]
        kept = {current.name, *others[max(0, len(others) - (self.keep - 1)) :]}
        for contract in self._contracts():
            releases = sorted(file.parent for file in contract.glob(f"*/{PUBLISHED}"))
            old = [r for r in releases if r.name not in kept and _is_old(r / PUBLISHED)]
            for folder in [contract] if old == releases else [r for r in old if r != releases[0]]:
                self._remove(folder)
        for manifest in self.root.glob(f"*/{MANIFEST}"):  # the layout before this one
            if not manifest.parent.is_symlink() and _is_old(manifest):
                self._remove(manifest.parent)

    def _remove(self, folder: Path) -> None:
        """Remove a release, or a contract with its releases: gone in one step for who looks."""
        _delete(folder.rename(self.root / f".removing-{folder.name}"))

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
                "release stays served: free space, then run the job `rebuild`."
            ) from error


def _mark(folder: Path) -> None:
    """Write into a release that it was published, or, when it says so, that it is served now."""
    file = folder / PUBLISHED
    if file.exists():
        os.utime(file)
        return
    at = datetime.now(UTC).isoformat(timespec="seconds")
    write_atomically(file, json.dumps({"published_at": at}) + "\n")


def _last_served(folder: Path) -> int:
    return (folder / PUBLISHED).stat().st_mtime_ns


def _is_old(file: Path) -> bool:
    return time.time() - file.stat().st_mtime > DAY


def _delete(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        if not isinstance(content, dict) or "files" not in content:
            raise ValueError("it is no manifest")
    except (OSError, ValueError) as error:
        raise ReleaseError(
            f"{folder / MANIFEST} cannot be read ({error}): the release was changed after it "
            "was published. Run `minerals refresh` to publish a new one."
        ) from error
    return content


def _export(
    warehouse: duckdb.DuckDBPyConnection, mart: Mart, folder: Path, release_id: str
) -> PublishedMart:
    """Write a mart as a Parquet file, in the order of its key."""
    table, key = f"marts.{mart.name}", ", ".join(mart.key)
    twice = warehouse.execute(
        f"select {key}, count(*) from {table} group by all having count(*) > 1 limit 3"
    ).fetchall()
    if twice:
        raise ReleaseError(
            f"Mart {mart.name} has more than one row for ({key}), for example {twice}; "
            "nothing is published and the previous release stays served."
        )
    columns = ", ".join(f'"{c.name}"' for c in mart.columns if c != RELEASE_ID)
    file = folder / f"{mart.name}.parquet"
    n_rows = warehouse.execute(
        f"copy (select {columns}, '{release_id}' as {RELEASE_ID.name} from {table} order by {key}) "
        f"to '{quoted(file)}' (format parquet, compression zstd)"
    ).fetchall()[0][0]
    return PublishedMart(mart.name, n_rows, sha256_of(file))


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


def _write_readme(
    folder: Path, release_id: str, contract: Sequence[Mart], marts: Sequence[PublishedMart]
) -> None:
    rows = "\n".join(
        f"| `{mart.name}` | {mart.row_count:,} | {described.description} |"
        for mart, described in zip(marts, contract, strict=True)
    )
    (folder / "README.md").write_text(
        f"# Release {release_id}\n\nOne Parquet file per mart.\n\n"
        f"| mart | rows | what it holds |\n|---|---:|---|\n{rows}\n\n"
        f"`{PINNED}` is a DuckDB database of views over these files, with the descriptions as "
        "comments: open it read-only to stay with this release.\n\n"
        f"Hashes, inputs, checks and fits are in `{MANIFEST}`; every column with its type, unit "
        f"and description is in `{CONTRACT}`.\n"
    )
