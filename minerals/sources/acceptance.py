"""Whether a new snapshot may replace the one in use, and what it would change.

A publisher's answer can be whole, well-formed and wrong: half the countries missing, a year empty,
values in other units. So a new snapshot of a live source is compared with the one in use over what
both hold, the same importers and years: rows, countries, codes and value. What only the new one
holds, such as a newly published year, is held against the nearest year of the one in use by wider
rules: partners, codes, growth and prices. Outside of the tolerances below it is kept but not used,
and an operator decides (`minerals snapshots diff`, `minerals snapshots use`). Where some of many
importers are outside, their rows in use stay, and the others take theirs from the new snapshot.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path

import duckdb

from minerals.errors import SnapshotDamagedError
from minerals.files import write_atomically
from minerals.sources.snapshots import Snapshot, SnapshotStore

_SAMPLE = 5
_NEVER = 9999


@dataclass(frozen=True)
class Tolerance:
    """How far a new snapshot may be from the one in use, in what both hold: shares of that one, and
    counts. `value_change` is of the whole value; of the value of one importer and year are
    `year_change` and `year_lost`, that of codes which have no row any more."""

    rows_lost: float
    rows_gained: float
    countries_lost: int
    codes_lost: int
    years_lost: int
    value_change: float
    year_change: float
    year_lost: float


@dataclass(frozen=True)
class NewYear:
    """What a year that the snapshot in use lacks may be, held against its nearest year there: the
    least shares of countries and codes, and the most that the total value, and the value and the
    price of the median code, may be multiplied or divided by, for each year between."""

    countries: float
    codes: float
    growth: float
    median_code: float


TOLERANCES: Mapping[str, Tolerance] = {
    # Reporters revise: a few partners and codes come and go, a year does not.
    "bilateral_trade": Tolerance(0.05, 0.30, 5, 5, 0, 0.10, 0.25, 0.02),
    # A new edition revises the last years of the one before.
    "production": Tolerance(0.02, 0.40, 3, 0, 0, 0.25, 0.25, 0.02),
    # An edition is corrected now and then, and a new one brings tables of its own.
    "mineral_summaries": Tolerance(0.02, 0.40, 3, 0, 0, 0.25, 0.25, 0.02),
    # Rows are figures here: one per economy, year and indicator.
    "country_indicators": Tolerance(0.05, 0.30, 2, 1, 0, 0.10, 0.10, 0.02),
    # Nothing in it should ever change; new economies may come.
    "country_geography": Tolerance(0.0, 0.05, 0, 0, 0, 0.01, 0.01, 0.0),
    # The Inventory of one year replaces that of the year before. The value is the number of rows.
    "export_restrictions": Tolerance(0.2, 1.0, 10, 50, 1, 1.0, 1.0, 0.2),
}
NEW_YEARS: Mapping[str, NewYear] = {
    # In BACI these refuse 0.4% of the years 2018-2023 of importers above USD 1 billion, and 2.5% of
    # those above 100 million, whose total one shipment can move.
    "bilateral_trade": NewYear(0.6, 0.6, 10.0, 3.0),
    "production": NewYear(0.7, 0.9, 2.0, 2.0),
    "mineral_summaries": NewYear(0.7, 0.7, 3.0, 2.0),
    # The value is the population. Debt and governance come a year after the rest.
    "country_indicators": NewYear(0.8, 0.3, 1.1, 1.1),
    "country_geography": NewYear(1.0, 1.0, 1.0, 1.0),
    "export_restrictions": NewYear(0.7, 0.7, 3.0, 10.0),
}
# A year of one importer below this value (USD) is too small to be judged by itself.
_SMALL_YEAR: Mapping[str, float] = {"bilateral_trade": 1e8}

# Each dataset's main table (`raw`) as key, importer, country, code, year, revision of the codes,
# value and quantity, by a column that only tables of that layout have.
SHAPES: Mapping[str, Mapping[str, str]] = {
    "bilateral_trade": {
        "primaryValue": """
            select concat_ws(' ', reporterCode, partnerCode, cmdCode, period) as key,
                reporterCode as importer, partnerCode as country, cmdCode as code, period as year,
                classificationCode as revision,
                primaryValue as value, netWgt as quantity from raw""",
        "v": """
            select concat_ws(' ', j, i, k, t) as key, null as importer, i as country,
                cast(k as varchar) as code, cast(t as integer) as year, 'H0' as revision,
                cast(v as double) as value,
                cast(q as double) as quantity from raw""",
    },
    "production": {
        "sheet": """
            select concat_ws(' | ', sheet, country, year) as key, null as importer, country,
                sheet as code, year, null as revision, quantity as value, null as quantity from raw
            where country <> 'Total'""",
    },
    "mineral_summaries": {
        "as_printed": """
            select concat_ws(' | ', table_id, country, year) as key, null as importer, country,
                table_id as code, year, null as revision,
                try_cast(replace(ltrim(as_printed, '>'), ',', '') as double) as value,
                null as quantity from raw""",
    },
    "country_indicators": {
        "SP.POP.TOTL": """
            select concat_ws(' ', iso3, year, indicator) as key, null as importer,
                iso3 as country, indicator as code, year, null as revision,
                if(indicator = 'SP.POP.TOTL', figure, null) as value, figure as quantity
            from (unpivot (select * exclude (iso3, year), iso3, year from raw)
                on columns(* exclude (iso3, year)) into name indicator value figure)""",
    },
    "country_geography": {
        "main_city_lat_deg": """
            select iso3 as key, null as importer, iso3 as country, null as code, null as year,
                null as revision,
                area_km2 as value, main_city_lat_deg * 1000 + main_city_lon_deg as quantity
            from raw""",
    },
    "export_restrictions": {
        "policy_type": """
            select concat_ws(' ', actor_code, hs_code, policy_type, variation) as key,
                null as importer, actor_code as country, hs_code as code, year, null as revision,
                cast(1 as double) as value, null as quantity from raw""",
    },
}
# The importers and years of both, and which they share with codes of one revision: only these are
# compared row by row. A year is 0 where the layout has none.
_PERIODS = """
    create table period as
    with each_old as (
        select importer, year, string_agg(distinct revision, ' ') as revision,
            coalesce(sum(value), 0) as before
        from old group by all
    ),
    each_new as (
        select importer, year, string_agg(distinct revision, ' ') as revision,
            coalesce(sum(value), 0) as after
        from new group by all
    )
    select importer, year, before, after, before is not null and after is not null
            and each_old.revision is not distinct from each_new.revision as is_held,
        concat_ws(' in ', nullif(importer, ''), nullif(year, 0)) as name
    from each_old full join each_new using (importer, year)
"""
# A code that is new is no gain to be judged; one that is lost is a loss of rows and value.
_HELD = """
    create view old_held as
        from old semi join (from period where is_held) as held using (importer, year);
    create view new_held as
        from new semi join (from period where is_held) as held using (importer, year)
        where (importer, coalesce(code, '')) in (
            select (importer, coalesce(code, '')) from old_held
        )
"""
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
        from old_in_scope as old full join new on old.key = new.key
    )
    select kind, count(*), list(key order by size desc, key)[:{_SAMPLE}]
    from change where kind is not null group by kind order by kind
"""
_LOST = """
    select distinct {0} from old_held where {0} is not null and {1}
    except select {0} from new_held where {1} order by 1
"""
_LOST_YEARS = """
    select importer, name from period semi join old_in_scope using (importer, year)
    where after is null
        and year not in (select distinct year from old order by year limit $1)
        and year <= $2
    order by all
"""
_MOVED_YEARS = """
    select importer, name, (now.value - was.value) / was.value
    from (select importer, year, sum(value) as value from old_held group by all) as was
    inner join (select importer, year, sum(value) as value from new_held group by all) as now
        using (importer, year)
    inner join period using (importer, year)
    where was.value > $1 order by importer, year
"""
_LOST_CODES = """
    with lost as (
        select importer, year, code, sum(value) as value
        from old_held anti join new_held using (importer, year, code)
        where code is not null group by all
    )
    select importer, name, coalesce(sum(value), 0) / before, list(code order by value desc, code)
    from lost inner join period using (importer, year) where before > $1
    group by importer, year, name, before order by importer, year
"""
# Each importer and year that only the new one holds (or with codes of another revision), beside the
# nearest year of that importer in the one in use.
_NEW_YEARS = """
    select fresh.importer, fresh.year, fresh.name,
        arg_min(period.year, 2 * abs(period.year - fresh.year) + (period.year > fresh.year)::int)
    from period as fresh inner join period
        on fresh.importer = period.importer and period.before > $1
    where fresh.after is not null and not fresh.is_held
    group by all order by all
"""
_MEDIAN_CODE = """
    with each_code as (
        select 'new' as side, code, sum(value) as value,
            sum(value) filter (quantity > 0) / sum(quantity) as price
        from new where importer = $1 and year = $2 and value > 0 group by code
        union all
        select 'old' as side, code, sum(value) as value,
            sum(value) filter (quantity > 0) / sum(quantity) as price
        from old where importer = $1 and year = $3 and value > 0 group by code
    )
    select median(now.value / was.value), median(now.price / was.price)
    from (from each_code where side = 'new') as now
    inner join (from each_code where side = 'old') as was using (code)
"""


@dataclass(frozen=True)
class Scope:
    """The years and importers that the settings ask for. Data outside of them are not missed when
    a new snapshot lacks them; None means everything. A window that `moves` may lose as many of its
    first years as there are new ones behind its last, and with new importers any last ones."""

    years: Collection[int] | None = None
    importers: Collection[str] | None = None
    moves: bool = False


@dataclass(frozen=True)
class Verdict:
    """May the candidate be used, why not, and what it changes.

    `before` and `after` are the counts of rows, countries, codes and years, and the total value, of
    what both snapshots hold; `news` is a sentence on each year that only the candidate holds.
    `changes` and `samples` are, of rows created, updated and deleted, a count and some keys.
    `of_importers` are those of the reasons that lie with one importer each.
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
    news: tuple[str, ...] = ()
    of_importers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    n_importers: int = 0

    @property
    def stay(self) -> dict[str, Sequence[str]]:
        """The importers whose rows in use may stay, with the reasons, so that the others take
        theirs from the candidate; none when that would be most of them."""
        return dict(self.of_importers) if 2 * len(self.of_importers) <= self.n_importers else {}

    def __str__(self) -> str:
        lines = [
            f"{self.dataset}: snapshot {self.candidate} "
            f"{'is accepted' if self.is_accepted else 'is kept but not used'}"
            + (f", compared with {self.in_use}" if self.in_use else "")
        ]
        lines += [f"  {sentence}" for sentence in (*self.reasons, *self.news)]
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
        n_leave, last = _leeway(connection) if scope.moves else (0, _NEVER)
        # An importer that is new is not a gain to be judged.
        connection.execute("delete from new where importer not in (select importer from old)")
        connection.execute(_PERIODS)
        connection.execute(_HELD)
        before, after = _measure(connection, "old_held"), _measure(connection, "new_held")
        found = connection.execute(_CHANGES).fetchall()
        lost = _lost(connection)
        gone = connection.execute(_LOST_YEARS, [n_leave, last]).fetchall()
        small = [_SMALL_YEAR.get(candidate.dataset, 0.0)]
        moved = connection.execute(_MOVED_YEARS, small).fetchall()
        empty = connection.execute(_LOST_CODES, small).fetchall()
        fresh = connection.execute(_NEW_YEARS, small).fetchall()
        judged = [(e[0], *_judge_new(connection, candidate.dataset, *e)) for e in fresh]
        tolerance = TOLERANCES[candidate.dataset]
        of_all = _outside(tolerance, before, after, lost)
        importers = [i for (i,) in connection.sql("select distinct importer from old").fetchall()]
        of_each = _of_each(connection, tolerance, importers) if of_all else {}
    for importer, names in _grouped(gone).items():
        of_each.setdefault(importer, []).extend(_lacks("year", names, tolerance.years_lost))
    for importer, name, change in moved:
        if abs(change) > tolerance.year_change:
            of_each.setdefault(importer, []).append(
                f"The value of {name} changes by {change:+.1%}; the limit is "
                f"{tolerance.year_change:.0%}."
            )
    for importer, name, share, codes in empty:
        if share > tolerance.year_lost:
            of_each.setdefault(importer, []).append(
                f"{name} has no row of {', '.join(codes[:_SAMPLE])}, of {share:.1%} of its value; "
                f"the limit is {tolerance.year_lost:.0%}."
            )
    for importer, _, wrong in judged:
        of_each.setdefault(importer, []).extend(wrong)
    reasons = list(dict.fromkeys([*of_all, *chain.from_iterable(of_each.values())]))
    return Verdict(
        candidate.dataset,
        candidate.snapshot_id,
        in_use.snapshot_id,
        not reasons,
        tuple(reasons),
        before,
        after,
        dict.fromkeys(("created", "updated", "deleted"), 0) | {kind: n for kind, n, _ in found},
        {kind: keys for kind, _, keys in found},
        tuple(sentence for _, sentence, _ in judged),
        {importer: wrong for importer, wrong in of_each.items() if importer and wrong},
        len(importers),
    )


def _judge_new(
    connection: duckdb.DuckDBPyConnection,
    dataset: str,
    importer: str,
    year: int,
    name: str,
    year_before: int,
) -> tuple[str, list[str]]:
    """A sentence on a year that only the new snapshot holds, and one for each rule it breaks."""
    limits, place = NEW_YEARS[dataset], "where importer = '{}' and year = {}"
    was = _measure(connection, "old", place.format(importer, year_before))
    now = _measure(connection, "new", place.format(importer, year))
    medians = connection.execute(_MEDIAN_CODE, [importer, year, year_before]).fetchall()[0]
    distance = max(1, abs(year - year_before))
    growth = now["total value"] / was["total value"]
    wrong = [
        f"{name} has {now[noun]:,.0f} {noun}, {year_before} {was[noun]:,.0f}; the least is "
        f"{least:.0%} of these."
        for noun, least in (("countries", limits.countries), ("codes", limits.codes))
        if now[noun] < least * was[noun]
    ]
    for what, factor, most in (
        ("total value", growth, limits.growth),
        ("value of the median code", medians[0], limits.median_code),
        ("price of the median code", medians[1], limits.median_code),
    ):
        limit = most**distance
        if factor is not None and not 1 / limit <= factor <= limit:
            wrong.append(
                f"The {what} of {name} is {factor:.3g} times that of {year_before}; the limit is "
                f"{limit:.3g} times more or less."
            )
    return (
        f"{name} is new: {now['rows']:,.0f} rows, {now['countries']:,.0f} countries, total value "
        f"{now['total value']:,.0f}, {growth - 1:+.1%} on {year_before}."
    ), wrong


def _accept(candidate: Snapshot, in_use: Snapshot | None, why: str) -> Verdict:
    used = in_use.snapshot_id if in_use else None
    return Verdict(candidate.dataset, candidate.snapshot_id, used, True, (why,))


def _load(
    connection: duckdb.DuckDBPyConnection, name: str, snapshot: Snapshot, scope: Scope
) -> str | None:
    """Make a table of the snapshot's rows of the importers in scope, in the common shape, and a
    view `<name>_in_scope` of those of its years; return the layout's own column, or None (and no
    table) when no layout is known."""
    raw = connection.read_parquet(str(snapshot.parquet(snapshot.dataset)))
    years, importers = (values and list(values) for values in (scope.years, scope.importers))
    for column, shape in SHAPES[snapshot.dataset].items():
        if column in raw.columns:
            raw.create_view("raw", replace=True)
            connection.execute(
                f"create table {name} as select * replace (coalesce(importer, '') as importer, "
                f"coalesce(year, 0) as year) from ({shape}) "
                "where coalesce(list_contains($1::varchar[], importer), true)",
                [importers],
            )
            wanted = f"where year in ({', '.join(map(str, [0, *years]))})" if years else ""
            connection.execute(f"create view {name}_in_scope as from {name} {wanted}")
            return column
    return None


def _measure(
    connection: duckdb.DuckDBPyConnection, table: str, where: str = ""
) -> dict[str, float]:
    counted = connection.sql(
        "select count(*) as rows, count(distinct country) as countries, "
        "count(distinct code) as codes, count(distinct nullif(year, 0)) as years, "
        f'coalesce(sum(value), 0) as "total value" from {table} {where}'
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
    for column, limit in (("country", tolerance.countries_lost), ("code", tolerance.codes_lost)):
        reasons += _lacks(column, lost[column], limit)
    return reasons


def _lacks(noun: str, lost: Sequence[str], limit: int) -> list[str]:
    """A sentence when more are lost than the limit, else none."""
    if len(lost) <= limit:
        return []
    plural = {"country": "countries"}.get(noun, f"{noun}s")
    named = ", ".join(lost[:_SAMPLE])
    return [
        f"It lacks {len(lost)} {noun if len(lost) == 1 else plural} ({named}); the limit is "
        f"{limit}."
    ]


def _of_each(
    connection: duckdb.DuckDBPyConnection, tolerance: Tolerance, importers: Sequence[str]
) -> dict[str, list[str]]:
    """What is outside by each importer alone, of several, when it is outside together."""
    found: dict[str, list[str]] = {}
    for importer in importers if len(importers) > 1 else ():
        its = f"importer = '{importer}'"
        before, after = (
            _measure(connection, name, f"where {its}") for name in ("old_held", "new_held")
        )
        outside = _outside(tolerance, before, after, _lost(connection, its))
        found[importer] = [f"{importer}: {reason}" for reason in outside]
    return found


def _lost(connection: duckdb.DuckDBPyConnection, where: str = "true") -> dict[str, list[str]]:
    """The countries and codes that only the snapshot in use has, of what both hold."""
    return {
        column: [str(lost) for (lost,) in connection.sql(_LOST.format(column, where)).fetchall()]
        for column in ("country", "code")
    }


def _leeway(connection: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """How many of its first years a window that moves may lose, and the last year that it may not:
    new importers may not have the last ones yet."""
    ((n_new, last, n_importers),) = connection.sql(
        "select count(distinct year) filter (year > (select max(year) from old)), max(year), "
        "count(distinct importer) filter (importer not in (select importer from old)) from new"
    ).fetchall()
    return n_new, last if n_importers else _NEVER


def _grouped(found: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The names of each importer."""
    names: dict[str, list[str]] = {}
    for importer, name in found:
        names.setdefault(importer, []).append(name)
    return names
