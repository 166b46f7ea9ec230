"""Whether a new snapshot may take the place of the one in use, and what it would change.

A publisher's answer can be whole, well-formed and wrong: half the countries gone, a year emptied,
values in other units. So a new snapshot of a live source is compared with the one in use: rows,
countries, codes, years and total value. Outside of the tolerances below it is kept, not used, and
an operator decides (`minerals snapshots diff`, `minerals snapshots use`).
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from minerals.errors import SnapshotDamagedError
from minerals.sources.snapshots import Snapshot, SnapshotStore, write_atomically

_SAMPLE = 5


@dataclass(frozen=True)
class Tolerance:
    """How far a new snapshot may be from the one in use. Shares of what is in use; counts."""

    rows_lost: float
    rows_gained: float
    countries_lost: int
    codes_lost: int
    years_lost: int
    value_change: float


TOLERANCES: Mapping[str, Tolerance] = {
    # Reporters revise: a few partners and codes come and go, a year does not.
    "bilateral_trade": Tolerance(0.05, 0.30, 5, 5, 0, 0.10),
    # A new edition adds a fifth of the rows: one year to five.
    "production": Tolerance(0.02, 0.40, 3, 0, 0, 0.25),
    # Rows are figures here, one an economy, year and indicator.
    "country_indicators": Tolerance(0.05, 0.30, 2, 1, 0, 0.10),
    # Nothing in it should ever change; new economies may come.
    "country_geography": Tolerance(0.0, 0.05, 0, 0, 0, 0.01),
}

# Each dataset's main table as (key, scope, country, code, year, value, quantity), by a column that
# only tables of that layout have.
SHAPES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "bilateral_trade": (
        (
            "primaryValue",
            """select concat_ws(' ', reporterCode, partnerCode, cmdCode, period) as key,
                reporterCode as scope, partnerCode as country, cmdCode as code, period as year,
                primaryValue as value, netWgt as quantity from {table}""",
        ),
        (
            "v",
            """select concat_ws(' ', j, i, k, t) as key, null as scope, i as country,
                cast(k as varchar) as code, cast(t as integer) as year, cast(v as double) as value,
                cast(q as double) as quantity from {table}""",
        ),
    ),
    "production": (
        (
            "sheet",
            """select concat_ws(' | ', sheet, country, year) as key, null as scope, country,
                sheet as code, year, quantity as value, null as quantity from {table}
                where country <> 'Total'""",
        ),
    ),
    "country_indicators": (
        (
            "SP.POP.TOTL",
            """select concat_ws(' ', iso3, year, indicator) as key, null as scope, iso3 as country,
                indicator as code, year, if(indicator = 'SP.POP.TOTL', figure, null) as value,
                figure as quantity from (unpivot (select * exclude (iso3, year), iso3, year
                from {table}) on columns(* exclude (iso3, year)) into name indicator value figure)
                """,
        ),
    ),
    "country_geography": (
        (
            "main_city_lat_deg",
            """select iso3 as key, null as scope, iso3 as country, null as code, null as year,
                area_km2 as value, main_city_lat_deg * 1000 + main_city_lon_deg as quantity
                from {table}""",
        ),
    ),
}


@dataclass(frozen=True)
class Asked:
    """What the settings ask for now. A year or an importer that nobody asks for any more is not
    lost; None is everything."""

    years: Collection[int] | None = None
    scopes: Collection[str] | None = None


@dataclass(frozen=True)
class Measures:
    """What is counted of a snapshot."""

    rows: int
    countries: int
    codes: int
    years: int
    total_value: float


@dataclass(frozen=True)
class Verdict:
    """May the candidate be used, why not, and what it changes."""

    dataset: str
    candidate: str
    in_use: str | None
    is_accepted: bool
    reasons: tuple[str, ...]
    before: Measures | None = None
    after: Measures | None = None
    created: int = 0
    updated: int = 0
    deleted: int = 0
    samples: Mapping[str, tuple[str, ...]] | None = None

    def __str__(self) -> str:
        lines = [
            f"{self.dataset}: snapshot {self.candidate} "
            f"{'is accepted' if self.is_accepted else 'is kept and not used'}"
            + (f", compared with {self.in_use}" if self.in_use else "")
        ]
        lines += [f"  {reason}" for reason in self.reasons]
        if self.before and self.after:
            lines += [
                f"  {name.replace('_', ' ')}: {old:,.0f} -> {new:,.0f}"
                for (name, old), new in zip(
                    asdict(self.before).items(), asdict(self.after).values(), strict=True
                )
            ]
            lines.append(
                f"  rows created {self.created:,}, updated {self.updated:,}, "
                f"deleted {self.deleted:,}"
            )
        for kind, keys in (self.samples or {}).items():
            lines += [f"  {kind}, for example: {'; '.join(keys)}"] if keys else []
        return "\n".join(lines)


def assess(store: SnapshotStore, candidate: Snapshot, asked: Asked | None = None) -> Verdict:
    """Compare a snapshot with the one in use, and keep the verdict beside it on disk.

    The first snapshot of a dataset, and one whose predecessor is of another provider or damaged,
    has nothing to be compared with, and is accepted.
    """
    try:
        in_use = store.current(candidate.dataset)
    except SnapshotDamagedError:
        verdict = _accept(candidate, None, "There is no sound snapshot in use to compare it with.")
    else:
        if in_use.snapshot_id == candidate.snapshot_id:
            return _accept(candidate, in_use, "It is the one in use.")
        verdict = compare(in_use, candidate, asked or Asked())
    text = json.dumps(asdict(verdict), indent=2) + "\n"
    write_atomically(verdict_file(store, candidate.dataset, candidate.snapshot_id), text)
    return verdict


def verdict_file(store: SnapshotStore, dataset: str, snapshot_id: str) -> Path:
    """Where the last verdict on a snapshot is kept."""
    return store.root / dataset / f".verdict-{snapshot_id}.json"


def compare(in_use: Snapshot, candidate: Snapshot, asked: Asked) -> Verdict:
    """The verdict on a candidate, from the main tables of both."""
    with duckdb.connect() as connection:
        old = _select(connection, in_use)
        new = _select(connection, candidate)
        if old is None or new is None or old[0] != new[0]:
            return _accept(candidate, in_use, "The one in use has another provider's layout.")
        connection.execute(f"create table old as {old[1]}")
        connection.execute(f"create table new as {new[1]}")
        _keep_what_is_asked(connection, asked)
        before, after = _measure(connection, "old"), _measure(connection, "new")
        counts, samples = _changes(connection)
        lost = {name: _lost(connection, name) for name in ("country", "code", "year")}
    reasons = _outside(TOLERANCES[candidate.dataset], before, after, lost)
    return Verdict(
        candidate.dataset,
        candidate.snapshot_id,
        in_use.snapshot_id,
        not reasons,
        tuple(reasons),
        before,
        after,
        counts["created"],
        counts["updated"],
        counts["deleted"],
        samples,
    )


def _accept(candidate: Snapshot, in_use: Snapshot | None, why: str) -> Verdict:
    used = in_use.snapshot_id if in_use else None
    return Verdict(candidate.dataset, candidate.snapshot_id, used, True, (why,))


def _select(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> tuple[str, str] | None:
    """The layout's own column, and the SQL that gives the common shape."""
    columns = next(t.columns for t in snapshot.tables if t.name == snapshot.dataset)
    file = str(snapshot.parquet(snapshot.dataset)).replace("'", "''")
    for column, sql in SHAPES[snapshot.dataset]:
        if column in columns:
            return column, sql.format(table=f"read_parquet('{file}')")
    return None


def _keep_what_is_asked(connection: duckdb.DuckDBPyConnection, asked: Asked) -> None:
    """Leave out years and importers that are not asked for any more, and importers that are new."""
    for table in ("old", "new"):
        if asked.years is not None:
            years = list(asked.years)
            connection.execute(
                f"delete from {table} where year is not null and not list_contains($1, year)",
                [years],
            )
        if asked.scopes is not None:
            connection.execute(
                f"delete from {table} where scope is not null and not list_contains($1, scope)",
                [list(asked.scopes)],
            )
    connection.execute(
        "delete from new where scope is not null and scope not in (select scope from old)"
    )


def _measure(connection: duckdb.DuckDBPyConnection, table: str) -> Measures:
    row = connection.execute(
        "select count(*), count(distinct country), count(distinct code), count(distinct year), "
        f"coalesce(sum(value), 0) from {table}"
    ).fetchall()[0]
    return Measures(*row)


def _changes(
    connection: duckdb.DuckDBPyConnection,
) -> tuple[dict[str, int], dict[str, tuple[str, ...]]]:
    connection.execute(
        """
        create table change as
        select
            coalesce(new.key, old.key) as key,
            case
                when old.key is null then 'created'
                when new.key is null then 'deleted'
                when old.value is distinct from new.value
                    or old.quantity is distinct from new.quantity then 'updated'
            end as kind,
            abs(coalesce(new.value, 0) - coalesce(old.value, 0)) as size
        from old full join new on old.key = new.key
        """
    )
    kinds = ("created", "updated", "deleted")
    counts = dict.fromkeys(kinds, 0)
    found = connection.execute(
        "select kind, count(*) from change where kind is not null group by kind"
    ).fetchall()
    counts |= dict(found)
    samples = {
        kind: tuple(
            key
            for (key,) in connection.execute(
                "select key from change where kind = $1 order by size desc, key limit $2",
                [kind, _SAMPLE],
            ).fetchall()
        )
        for kind in kinds
    }
    return counts, samples


def _lost(connection: duckdb.DuckDBPyConnection, column: str) -> list[str]:
    found = connection.execute(
        f"select distinct {column} from old where {column} is not null "
        f"except select distinct {column} from new order by 1"
    ).fetchall()
    return [str(value) for (value,) in found]


def _outside(
    tolerance: Tolerance, before: Measures, after: Measures, lost: Mapping[str, list[str]]
) -> list[str]:
    """A sentence for each tolerance that is exceeded."""
    reasons = []
    change = (after.rows - before.rows) / before.rows if before.rows else 0.0
    if change < -tolerance.rows_lost:
        reasons.append(f"It has {-change:.1%} fewer rows; {tolerance.rows_lost:.0%} may go.")
    if change > tolerance.rows_gained:
        reasons.append(f"It has {change:.1%} more rows; {tolerance.rows_gained:.0%} may come.")
    for column, plural, allowed in (
        ("country", "countries", tolerance.countries_lost),
        ("code", "codes", tolerance.codes_lost),
        ("year", "years", tolerance.years_lost),
    ):
        if len(lost[column]) > allowed:
            some = ", ".join(lost[column][:_SAMPLE])
            reasons.append(f"{len(lost[column])} {plural} are gone ({some}); {allowed} may go.")
    moved = (
        (after.total_value - before.total_value) / before.total_value if before.total_value else 0
    )
    if abs(moved) > tolerance.value_change:
        reasons.append(
            f"The total value changes by {moved:+.1%}; {tolerance.value_change:.0%} is tolerated."
        )
    return reasons
