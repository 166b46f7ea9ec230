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
4. Write `published.json` into the release, make its folder read-only, point the link at it, remove
   what is too old.

After a crash before the step that serves it, a release has no `published.json`, is not served and
not listed, and goes at the start of the next run (`remove_leftovers`). After a crash behind that
step it is served and listed, and the next run writes `published.json`. To roll back is to do steps
2 to 4 with an older release.

What goes into a mart, and whether it may be published, is decided before this module is called.
"""

import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from filelock import FileLock

from minerals.errors import ReleaseError
from minerals.files import fsync_path, refuses_to_write, remove
from minerals.marts import Mart, published
from minerals.releases.contract import (
    CONTRACT,
    contract_changes,
    fingerprint,
    made_contract,
    read_contract,
)
from minerals.releases.folder import (
    PUBLISHED,
    PublishedMart,
    mark_served,
    problems_in,
    read_manifest,
    write_release,
)
from minerals.releases.serving import (
    POINTER,
    contract_served,
    read_pointer,
    write_pointer,
    write_serving_database,
)

CURRENT = "current"
DAY = 86_400  # seconds: a release stays that long after it was served last
_CONTRACTS = "[0-9a-f]" * 12


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
                    "dbt dbt_project/models/marts/*/<mart>.yml) or what makes the mart, then run "
                    "the whole job `refresh`."
                )
            try:
                release = self._write(warehouse, contract, facts)
                self._serve(release.path)
            except BaseException:
                self._clean()
                raise
            self._prune()
        return release

    def remove_leftovers(self) -> None:
        """Remove what a killed publication left: releases never served, temporary files."""
        if self.root.is_dir():
            with FileLock(self.root / ".lock"):
                self._clean()

    def dangling_pointer(self) -> str | None:
        """A sentence when the pointer of the contract being served names no release that is there,
        so that readers see no rows."""
        contract = contract_served(self.serving_database, self._contracts())
        if contract is None or any((contract / name).is_dir() for name in read_pointer(contract)):
            return None
        return (
            f"{contract / POINTER} names no release that is there, so the marts show no rows: "
            "`minerals releases rollback current`, or the next run, writes it again"
        )

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
        return problems_in(self.folder(release_id))

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
        marked = {folder: (folder / PUBLISHED).stat().st_mtime_ns for folder in self._marked()}
        return max(marked, key=marked.__getitem__, default=None)

    def manifest(self, release_id: str | None = None) -> dict[str, Any] | None:
        """The manifest of a release, by default the one being served; None when there is none.

        Raises ReleaseError when it cannot be read.
        """
        named = (folder for folder in self._folders() if folder.name == release_id)
        folder = self.current() if release_id is None else next(named, None)
        return None if folder is None else read_manifest(folder)

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
        changes = self._changes(contract)
        facts = {**facts, "contract_changes": changes}
        marts = write_release(warehouse, contract, facts, folder, target)
        target.parent.mkdir(exist_ok=True)
        folder.rename(target)
        folder.parent.rmdir()
        fsync_path(target.parent)
        return Release(release_id, target, marts, tuple(changes))

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
            mark_served(before)  # it was served until now
        try:
            write_pointer(contract, [folder.name, *served])
            self._drop_damaged(contract)
            write_serving_database(self.serving_database, contract, marts)
        except BaseException:
            write_pointer(contract, served)
            raise
        mark_served(folder)
        self._point_link(folder)

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

    def _point_link(self, folder: Path) -> None:
        link, temporary = self.root / CURRENT, self.root / f".{CURRENT}-{uuid.uuid4().hex[:8]}"
        temporary.symlink_to(folder.relative_to(self.root), target_is_directory=True)
        if link.is_dir() and not link.is_symlink():  # in a copy that followed the link
            self._remove(link)
        temporary.replace(link)
        fsync_path(self.root)

    def _clean(self) -> None:
        """Repair what an interruption left. The caller holds the lock, so nobody else writes."""
        for leftover in self.serving_database.parent.glob(".serving-*.duckdb*"):
            leftover.unlink()
        patterns = [".writing-*", ".removing-*", f".{CURRENT}-*"]
        for pattern in (*patterns, f"{_CONTRACTS}/.*", f"{_CONTRACTS}/*/.*"):
            for leftover in self.root.glob(pattern):
                remove(leftover)
        current = self.current()
        if current is not None and not (current / PUBLISHED).exists():
            mark_served(current)
        if current is not None and self.dangling_pointer():
            write_pointer(current.parent, [current.name])
        for release in self._marked():
            if os.access(release, os.W_OK):  # killed before, unpacked from an archive
                release.chmod(0o555)
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

    def _remove(self, folder: Path) -> None:
        """Remove a release, or a contract with its releases: readers never list a part of it."""
        folder.chmod(0o755)  # a folder that is read-only cannot be moved
        remove(folder.rename(self.root / f".removing-{folder.name}"))

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Raise a ReleaseError with the cure when the disk, or a quota, is full or read-only."""
        try:
            yield
        except (OSError, duckdb.IOException) as error:
            state = refuses_to_write(str(error))
            if state is None:
                raise
            what, cure = {
                "full": ("There is no room left for a release under", "free space"),
                "read-only": ("A release may not be written under", "give the right to write"),
            }[state]
            raise ReleaseError(
                f"{what} {self.root} ({error}); the previous release stays served: {cure}, then "
                "run the job `rebuild`."
            ) from error


def _is_old(file: Path) -> bool:
    return time.time() - file.stat().st_mtime > DAY
