"""Whether a new snapshot may replace the one in use, and what it would change.

A publisher's answer can be whole, well-formed and wrong: half the countries missing, a year empty,
values in other units. So a new snapshot of a live source is compared with the one in use: rows,
countries, codes, years and total value. Outside of the tolerances below it is kept but not used,
and an operator decides (`minerals snapshots diff`, `minerals snapshots use`).
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import duckdb

from minerals.errors import SnapshotDamagedError
from minerals.files import write_atomically
from minerals.sources.snapshots import Snapshot, SnapshotStore

_SAMPLE = 5


@dataclass(frozen=True)
class Tolerance:
    """How far a new snapshot may be from the one in use: shares of that one, and counts."""

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
    # Rows are figures here: one per economy, year and indicator.
    "country_indicators": Tolerance(0.05, 0.30, 2, 1, 0, 0.10),
    # Nothing in it should ever change; new economies may come.
    "country_geography": Tolerance(0.0, 0.05, 0, 0, 0, 0.01),
}

# Each dataset's main table (`raw`) as key, importer, country, code, year, value and quantity, by a
# column that only tables of that layout have.
SHAPES: Mapping[str, Mapping[str, str]] = {
    "bilateral_trade": {
        "primaryValue": """
            select concat_ws(' ', reporterCode, partnerCode, cmdCode, period) as key,
                reporterCode as importer, partnerCode as country, cmdCode as code, period as year,
                primaryValue as value, netWgt as quantity from raw""",
        "v": """
            select concat_ws(' ', j, i, k, t) as key, null as importer, i as country,
                cast(k as varchar) as code, cast(t as integer) as year, cast(v as double) as value,
                cast(q as double) as quantity from raw""",
    },
    "production": {
        "sheet": """
            select concat_ws(' | ', sheet, country, year) as key, null as importer, country,
                sheet as code, year, quantity as value, null as quantity from raw
            where country <> 'Total'""",
    },
    "country_indicators": {
        "SP.POP.TOTL": """
            select concat_ws(' ', iso3, year, indicator) as key, null as importer,
                iso3 as country, indicator as code, year,
                if(indicator = 'SP.POP.TOTL', figure, null) as value, figure as quantity
            from (unpivot (select * exclude (iso3, year), iso3, year from raw)
                on columns(* exclude (iso3, year)) into name indicator value figure)""",
    },
    "country_geography": {
        "main_city_lat_deg": """
            select iso3 as key, null as importer, iso3 as country, null as code, null as year,
                area_km2 as value, main_city_lat_deg * 1000 + main_city_lon_deg as quantity
            from raw""",
    },
}
_CHANGES = f"""
    with change as (
        select coalesce(new.key, old.key) as key,
            case
                when old.key is null then 'created'
                when new.key is null then 'deleted'
                when old.value is distinct from new.value
                    or old.quantity is distinct from new.quantity then 'updated'
            end as kind,
            abs(coalesce(new.value, 0) - coalesce(old.value, 0)) as size
        from old full join new on old.key = new.key
    )
    select kind, count(*), list(key order by size desc, key)[:{_SAMPLE}]
    from change where kind is not null group by kind order by kind
"""
_LOST = "select distinct {0} from old where {0} is not null except select {0} from new order by 1"


@dataclass(frozen=True)
class Scope:
    """The years and importers that the settings ask for. Data outside of them are not missed when
    a new snapshot lacks them; None means everything."""

    years: Collection[int] | None = None
    importers: Collection[str] | None = None


@dataclass(frozen=True)
class Verdict:
    """May the candidate be used, why not, and what it changes.

    `before` and `after` are the counts of rows, countries, codes and years, and the total value;
    `changes` and `samples` are, of rows created, updated and deleted, a count and some keys.
    """

    dataset: str
    candidate: str
    in_use: str | None
    is_accepted: bool
    reasons: tuple[str, ...]
    before: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)
    changes: Mapping[str, int] = field(default_factory=dict)
    samples: Mapping[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [
            f"{self.dataset}: snapshot {self.candidate} "
            f"{'is accepted' if self.is_accepted else 'is kept but not used'}"
            + (f", compared with {self.in_use}" if self.in_use else "")
        ]
        lines += [f"  {reason}" for reason in self.reasons]
        lines += [f"  {k}: {old:,.0f} -> {self.after[k]:,.0f}" for k, old in self.before.items()]
        if self.changes:
            counts = ", ".join(f"{kind} {n:,}" for kind, n in self.changes.items())
            lines.append(f"  rows {counts}")
        lines += [f"  {kind}, for example: {'; '.join(s)}" for kind, s in self.samples.items()]
        return "\n".join(lines)


def assess(store: SnapshotStore, candidate: Snapshot, scope: Scope | None = None) -> Verdict:
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
        verdict = compare(in_use, candidate, scope or Scope())
    text = json.dumps(asdict(verdict), indent=2) + "\n"
    write_atomically(verdict_file(store, candidate.dataset, candidate.snapshot_id), text)
    return verdict


def verdict_file(store: SnapshotStore, dataset: str, snapshot_id: str) -> Path:
    """Where the last verdict on a snapshot is kept."""
    return store.root / dataset / f".verdict-{snapshot_id}.json"


def compare(in_use: Snapshot, candidate: Snapshot, scope: Scope) -> Verdict:
    """The verdict on a candidate, from the main tables of both."""
    with duckdb.connect() as connection:
        if _load(connection, "old", in_use, scope) != _load(connection, "new", candidate, scope):
            return _accept(candidate, in_use, "The one in use has another provider's layout.")
        # An importer that is new is not a gain to be judged.
        connection.execute(
            "delete from new where importer is not null "
            "and importer not in (select importer from old)"
        )
        before, after = _measure(connection, "old"), _measure(connection, "new")
        found = connection.execute(_CHANGES).fetchall()
        lost = {
            column: [str(value) for (value,) in connection.execute(_LOST.format(column)).fetchall()]
            for column in ("country", "code", "year")
        }
    reasons = tuple(_outside(TOLERANCES[candidate.dataset], before, after, lost))
    return Verdict(
        candidate.dataset,
        candidate.snapshot_id,
        in_use.snapshot_id,
        not reasons,
        reasons,
        before,
        after,
        dict.fromkeys(("created", "updated", "deleted"), 0) | {kind: n for kind, n, _ in found},
        {kind: keys for kind, _, keys in found},
    )


def _accept(candidate: Snapshot, in_use: Snapshot | None, why: str) -> Verdict:
    used = in_use.snapshot_id if in_use else None
    return Verdict(candidate.dataset, candidate.snapshot_id, used, True, (why,))


def _load(
    connection: duckdb.DuckDBPyConnection, name: str, snapshot: Snapshot, scope: Scope
) -> str | None:
    """Make a table of the snapshot's rows in scope, in the common shape; return the layout's own
    column, or None (and no table) when no layout is known."""
    raw = connection.read_parquet(str(snapshot.parquet(snapshot.dataset)))
    for column, shape in SHAPES[snapshot.dataset].items():
        if column in raw.columns:
            raw.create_view("raw", replace=True)
            connection.execute(
                f"create table {name} as select * from ({shape}) "
                "where coalesce(list_contains($1::integer[], year), true) "
                "and coalesce(list_contains($2::varchar[], importer), true)",
                [values and list(values) for values in (scope.years, scope.importers)],
            )
            return column
    return None


def _measure(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, float]:
    counted = connection.sql(
        "select count(*) as rows, count(distinct country) as countries, "
        "count(distinct code) as codes, count(distinct year) as years, "
        f'coalesce(sum(value), 0) as "total value" from {table}'
    )
    return dict(zip(counted.columns, counted.fetchall()[0], strict=True))


def _outside(
    tolerance: Tolerance,
    before: Mapping[str, float],
    after: Mapping[str, float],
    lost: Mapping[str, list[str]],
) -> list[str]:
    """A sentence for each tolerance that is exceeded."""
    change, moved = (
        (after[name] - before[name]) / before[name] if before[name] else 0.0
        for name in ("rows", "total value")
    )
    shares = (
        (-change, tolerance.rows_lost, f"It has {-change:.1%} fewer rows"),
        (change, tolerance.rows_gained, f"It has {change:.1%} more rows"),
        (abs(moved), tolerance.value_change, f"The total value changes by {moved:+.1%}"),
    )
    reasons = [
        f"{words}; the limit is {most:.0%}." for found, most, words in shares if found > most
    ]
    for column, plural, limit in (
        ("country", "countries", tolerance.countries_lost),
        ("code", "codes", tolerance.codes_lost),
        ("year", "years", tolerance.years_lost),
    ):
        if (n_lost := len(lost[column])) > limit:
            some = ", ".join(lost[column][:_SAMPLE])
            reasons.append(f"It lacks {n_lost} {plural} ({some}); the limit is {limit}.")
    return reasons
