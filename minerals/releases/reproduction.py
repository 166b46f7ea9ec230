"""Can a release be made again: which code made it, and whether another one holds the same.

Two refreshes of the same snapshots, code and settings give the same rows in the same order. Their
files are not the same byte for byte, because each row carries `release_id`. So marts are compared
without that column and the time of making, row by row in the order of the file.

Running the pipeline again belongs to the orchestration.
"""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import duckdb

from minerals.releases.contract import CONTRACT, RELEASE_ID, read_contract
from minerals.settings import PROJECT_ROOT

IDENTICAL = "identical"
OF_THE_RELEASE = (RELEASE_ID.name, "made_at")
_CODE = ("minerals", "orchestration", "expectations", "dbt_project")
_SUFFIXES = {".py", ".sql", ".yml", ".yaml", ".csv", ".json"}
_NOT_CODE = {"target", "logs", "__pycache__"}


@cache
def code_version() -> str:
    """The project's version and a hash over all that decides what a refresh makes: `0.1.0+3f...`.

    It is of this process: a change of the code while it runs does not count.
    """
    content = hashlib.sha256()
    for file in sorted(file for folder in _CODE for file in (PROJECT_ROOT / folder).rglob("*")):
        path = file.relative_to(PROJECT_ROOT)
        if file.suffix in _SUFFIXES and not _NOT_CODE.intersection(path.parts) and file.is_file():
            content.update(path.as_posix().encode() + b"\0")
            content.update(hashlib.sha256(file.read_bytes()).digest())
    return f"{version('mineral-sourcing-warehouse')}+{content.hexdigest()[:12]}"


def differences(release: Path, other: Path) -> dict[str, str]:
    """How each mart of a release differs from the same in another folder: `identical`, or where.

    Values are compared exactly, and so is the order of rows.
    """
    marts = [mart.name for mart in read_contract(release / CONTRACT)]
    with duckdb.connect() as connection:
        return {mart: _difference(connection, mart, release, other) for mart in marts}


def _difference(
    connection: duckdb.DuckDBPyConnection, mart: str, release: Path, other: Path
) -> str:
    files = [str(folder / f"{mart}.parquet") for folder in (release, other)]
    if not Path(files[1]).exists():
        return "was not made"
    described, counts = [], []
    for file in files:
        relation = connection.read_parquet(file)
        described.append(list(zip(relation.columns, map(str, relation.types), strict=True)))
        counts.append(len(relation))
    if described[0] != described[1]:
        changed = sorted({name for name, _ in set(described[0]) ^ set(described[1])})
        return f"other columns: {', '.join(changed) or 'their order'}"
    if counts[0] != counts[1]:
        return f"{counts[1]:,} rows instead of {counts[0]:,} rows"
    names = [name for name, _ in described[0] if name not in OF_THE_RELEASE]
    # -0.0 equals 0.0, and so it does here.
    counted = ", ".join(f'count(*) filter (a."{n}" is distinct from b."{n}")' for n in names)
    found = connection.execute(
        f"select {counted} from read_parquet(?, file_row_number = true) as a "
        "join read_parquet(?, file_row_number = true) as b using (file_row_number)",
        files,
    ).fetchall()[0]
    differing = [f"{name} in {n:,} rows" for name, n in zip(names, found, strict=True) if n]
    return "; ".join(differing) or IDENTICAL
