"""What the mapping covers: codes per mineral, category and revision, and the trade they carry.

The importer's trade is read from the Parquet files of the raw snapshot, never from the warehouse,
which a refresh may hold. Whether the rows are right belongs to `rules`.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from minerals.errors import SnapshotDamagedError
from minerals.mapping.reference import CHAPTERS, REVISIONS, HsLists
from minerals.mapping.rules import MappingSeeds
from minerals.names import CATEGORIES

TRADE = "bilateral_trade"
TRADE_REVISION = "H0"


@dataclass(frozen=True)
class Trade:
    """The importer's imports over the years, USD, by six-digit code of `TRADE_REVISION`. Codes that
    some country trades but not this importer have 0; a code that is absent is not in the data."""

    importer_iso3: str
    first_year: int
    last_year: int
    value_usd: Mapping[str, float]


@dataclass(frozen=True)
class Coverage:
    """One mineral and category: codes by revision, and the imports of those that are in the trade
    data; None when none is."""

    mineral: str
    category: str
    n_codes: Mapping[str, int]
    value_usd: float | None


@dataclass(frozen=True)
class Unmapped:
    """A line that is in neither file, with its trade (None where it is unknown) and text."""

    hs_revision: str
    hs_code: str
    text: str
    value_usd: float | None


def snapshot_folder(raw_dir: Path) -> Path | None:
    """The folder of the trade snapshot in use, or None when there is none."""
    from minerals.sources.snapshots import SnapshotStore  # here: every command loads this module

    folder = raw_dir / TRADE / (SnapshotStore(raw_dir).current_id(TRADE) or "")
    return folder if (folder / f"{TRADE}.parquet").is_file() else None


def read_products(folder: Path) -> list[tuple[str, str]]:
    """Codes and texts of the trade data's own product table; empty when it has none."""
    file = folder / f"{TRADE}__products.parquet"
    if not file.is_file():
        return []
    return _query(file, "select code, description from raw order by code")


def read_trade(
    folder: Path, seeds_dir: Path, importer_iso3: str, first_year: int, last_year: int
) -> Trade | None:
    """The importer's imports in the snapshot; None when country_aliases.csv has no code of the
    importer in the trade data. Raises SnapshotDamagedError when it cannot be read."""
    from minerals.sources.seeds import aliases

    known = aliases(seeds_dir, "baci").items()
    if not (codes := [code for code, iso3 in known if iso3 == importer_iso3]):
        return None
    query = """
        select lpad(cast(k as varchar), 6, '0'), 1000 * coalesce(sum(cast(v as double)) filter (
            list_contains(?, cast(j as varchar)) and cast(t as integer) between ? and ?), 0)
        from raw group by 1 order by 1
    """
    rows = _query(folder / f"{TRADE}.parquet", query, codes, first_year, last_year)
    return Trade(importer_iso3, first_year, last_year, dict(rows))


def _query(file: Path, query: str, *parameters: object) -> list[tuple]:
    """Rows of a query on a Parquet file, called `raw`. Raises SnapshotDamagedError."""
    import duckdb

    with duckdb.connect(":memory:") as memory:
        try:
            raw = memory.read_parquet(str(file))
            raw.create_view("raw")
            if file.stem == TRADE and not set(raw.columns) >= set("tijkvq"):
                raise SnapshotDamagedError(
                    f"{file} does not have BACI's layout: it has {', '.join(raw.columns)}."
                )
            return memory.execute(query, parameters).fetchall()
        except duckdb.Error as error:
            raise SnapshotDamagedError(
                f"{file} cannot be read ({error}); the next `minerals refresh` writes it again."
            ) from error


def coverage(seeds: MappingSeeds, trade: Trade | None) -> list[Coverage]:
    """Every mineral and category that has a code in some revision, in the order of the study."""
    counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    values: defaultdict[tuple[str, str], float] = defaultdict(float)
    traded = trade.value_usd if trade else {}
    for row in seeds.mapped.rows:
        key = (row["mineral"], row["category"])
        counts[key][row["hs_revision"]] += 1
        if row["hs_revision"] == TRADE_REVISION and row["hs_code"] in traded:
            values[key] += traded[row["hs_code"]]
    order = {category: place for place, category in enumerate(CATEGORIES)}
    return [
        Coverage(*key, {r: counts[key][r] for r in REVISIONS}, values.get(key))
        for key in sorted(counts, key=lambda k: (k[0], order.get(k[1], 9), k[1]))
    ]


def without_codes(seeds: MappingSeeds) -> list[str]:
    """The minerals that have no code in any revision and category."""
    mapped = {row["mineral"] for row in seeds.mapped.rows}
    return [name for name in seeds.mineral_names if name not in mapped]


def unmapped(seeds: MappingSeeds, lists: HsLists, trade: Trade | None) -> list[Unmapped]:
    """Lines in neither file, the largest trade first: those of `CHAPTERS` in every list at hand,
    and those of any chapter in the trade."""
    decided = seeds.decided()
    traded = trade.value_usd if trade else {}
    found = {(TRADE_REVISION, code) for code in traded}
    found |= {(r, c) for r, lines in lists.lines.items() for c in lines if c[:2] in CHAPTERS}
    lines = [
        Unmapped(
            revision,
            code,
            line.text if (line := lists.line(revision, code)) else "",
            traded.get(code) if revision == TRADE_REVISION else None,
        )
        for revision, code in found
        if code not in decided[revision]
    ]
    return sorted(lines, key=lambda u: (-(u.value_usd or 0.0), u.hs_revision, u.hs_code))


def out_of_scope_value(seeds: MappingSeeds, trade: Trade) -> float:
    """The importer's trade in the codes that are deliberately left out, USD."""
    codes = {r["hs_code"] for r in seeds.out_of_scope.rows if r["hs_revision"] == TRADE_REVISION}
    return sum(value for code, value in trade.value_usd.items() if code in codes)
