"""One release as a folder: what it holds, and whether that is still what was published.

Which release is served, and how it comes to be, is in `store.py`.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from minerals.errors import ReleaseError
from minerals.files import fsync_path, sha256_of, write_atomically
from minerals.marts import Mart
from minerals.releases.contract import CONTRACT, RELEASE_ID, write_contract
from minerals.releases.reproduction import code_version
from minerals.releases.serving import PINNED, quoted, write_release_database

MANIFEST = "manifest.json"
PUBLISHED = "published.json"
"""In a release that was served; its time of change is when that was last."""


@dataclass(frozen=True)
class PublishedMart:
    """One Parquet file of a release; `sha256` is of the file."""

    name: str
    row_count: int
    sha256: str


def write_release(
    warehouse: duckdb.DuckDBPyConnection,
    contract: Sequence[Mart],
    facts: Mapping[str, Any],
    folder: Path,
    target: Path,
) -> tuple[PublishedMart, ...]:
    """Write the marts of `warehouse` into `folder`, which will be renamed to `target` and has the
    release's id as its name.

    Raises ReleaseError when the key of a mart is not unique.
    """
    folder.mkdir(parents=True)
    marts = tuple(_export(warehouse, mart, folder) for mart in contract)
    write_contract(folder / CONTRACT, contract)
    _write_readme(folder, contract, marts)
    write_release_database(folder, target, contract)
    hashed = {f"{mart.name}.parquet": mart.sha256 for mart in marts}
    content = {
        "release_id": folder.name,
        "created_at": _now(),
        "code_version": code_version(),
        **facts,
        "files": {f.name: hashed.get(f.name) or sha256_of(f) for f in sorted(folder.iterdir())},
        "marts": [asdict(mart) for mart in marts],
    }
    (folder / MANIFEST).write_text(json.dumps(content, indent=2, default=str) + "\n")
    for file in folder.iterdir():
        file.chmod(0o444)
        fsync_path(file)
    fsync_path(folder)
    return marts


def mark_served(folder: Path) -> None:
    """Note in a release that it is served now; from then on its folder is read-only."""
    file = folder / PUBLISHED
    if file.exists():
        os.utime(file)
    else:
        folder.chmod(0o755)
        write_atomically(file, json.dumps({"published_at": _now()}) + "\n")
        file.chmod(0o444)
    folder.chmod(0o555)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a release. Raises ReleaseError when it cannot be read."""
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


def problems_in(folder: Path) -> list[str]:
    """Hash the files of a release again; what is wrong, empty when nothing is."""
    recorded = read_manifest(folder)["files"]
    problems = []
    for name, sha256 in recorded.items():
        file = folder / name
        if not file.is_file():
            problems.append(f"{name} is missing")
        elif sha256_of(file) != sha256:
            problems.append(f"{name} is not the file that was published (sha256)")
    strange = {file.name for file in folder.glob("*.parquet")} - recorded.keys()
    return [*problems, *(f"{name} was added after publication" for name in sorted(strange))]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _export(warehouse: duckdb.DuckDBPyConnection, mart: Mart, folder: Path) -> PublishedMart:
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
    rows = f"select {columns}, '{folder.name}' as {RELEASE_ID.name} from {table} order by {key}"
    file = folder / f"{mart.name}.parquet"
    copy = f"copy ({rows}) to '{quoted(file)}' (format parquet, compression zstd)"
    ((n_rows,),) = warehouse.execute(copy).fetchall()
    return PublishedMart(mart.name, n_rows, sha256_of(file))


def _write_readme(folder: Path, contract: Sequence[Mart], marts: Sequence[PublishedMart]) -> None:
    rows = "\n".join(
        f"| `{mart.name}` | {mart.row_count:,} | {described.description} |"
        for mart, described in zip(marts, contract, strict=True)
    )
    (folder / "README.md").write_text(
        f"# Release {folder.name}\n\nOne Parquet file per mart.\n\n"
        f"| mart | rows | what it holds |\n|---|---:|---|\n{rows}\n\n"
        f"`{PINNED}` is a DuckDB database of views over these files, with the descriptions as "
        "comments: open it read-only to stay with this release.\n\n"
        f"Hashes, inputs, checks and fits are in `{MANIFEST}`; every column with its type, unit "
        f"and description is in `{CONTRACT}`.\n"
    )
