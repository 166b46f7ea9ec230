"""What an asset shows in the UI: columns, tags, counts, totals, durations.

Before a run this comes from the declarations of the marts, after it from the tables themselves, so
a new mart needs no line here.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from graphlib import TopologicalSorter
from types import MappingProxyType
from typing import Any

import dagster as dg
import pandas as pd

from minerals.errors import WarehouseError
from minerals.marts import python_marts
from minerals.names import CATEGORIES
from minerals.settings import Settings
from orchestration.failures import one_sentence
from orchestration.resources import RunSettings, Warehouse
from orchestration.schedules import DAILY

COLUMNS = "dagster/column_schema"
CHOICES = "choices"  # the settings that a table was computed with
EVERY_IMPORTER = ("seeds", "staging", "conformed")  # these groups hold all importers
EVERY_ONE = "every_importer_has_rows"
_SUMMED = re.compile(r"(^|_)(value_usd|qty_kg|production_kg)$")
Metadata = dict[str, Any]
Types = dict[str, dict[str, dict[str, str]]]  # schema, table, column: type


def with_columns_and_tags(spec: dg.AssetSpec, settings: Settings) -> dg.AssetSpec:
    """The spec with its columns, and tags for the importers and categories that it tells apart."""
    name = spec.key.to_user_string()
    if name == "release" and settings.profile == "bundled":
        spec = spec.replace_attributes(freshness_policy=DAILY.freshness)
        spec = spec.merge_attributes(metadata={"schedule": DAILY.cron, "freshness": DAILY.reason})
    if name in python_marts():
        columns = [
            dg.TableColumn(c.name, c.type, description=c.description)
            for c in python_marts()[name].columns
        ]
        spec = spec.merge_attributes(metadata={COLUMNS: dg.TableSchema(columns)})
    schema = spec.metadata.get(COLUMNS)
    names = {column.name for column in schema.columns} if schema else set()
    tags = {}
    if "importer_iso3" in names and spec.group_name not in EVERY_IMPORTER:
        tags = {f"importer/{code}": "" for code in settings.importers}
    for category in CATEGORIES:
        if "category" in names or f"{category}_qty_kg" in names:
            tags[f"category/{category}"] = ""
    return spec.merge_attributes(tags=tags)


def step(compute: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """Let an asset fail with one plain sentence, and report the seconds it took.

    Stands under `@dg.asset` or `@dg.multi_asset` of a generator.
    """

    @wraps(compute)
    def run(*arguments: Any, **resources: Any) -> Iterator[Any]:
        started = time.monotonic()
        with one_sentence():
            for result in compute(*arguments, **resources):
                if isinstance(result, dg.MaterializeResult):
                    seconds = round(time.monotonic() - started, 3)
                    metadata = {**(result.metadata or {}), "seconds": seconds}
                    result = result._replace(metadata=metadata)
                yield result

    return run


def save(
    warehouse: Warehouse,
    settings: RunSettings,
    parts: Iterable[Mapping[str, pd.DataFrame]],
    figures: Mapping[str, Metadata] = MappingProxyType({}),
) -> Iterator[dg.MaterializeResult]:
    """Write marts made in Python, all or none, and report each with its counts and totals.

    Each part holds rows of some marts, of a group of importers for instance. `figures` are further
    numbers by mart, which the UI plots over runs; making the parts may fill it.
    """
    rows: Counter[str] = Counter()
    totals: dict[str, Counter[str]] = {}

    def counted() -> Iterator[Mapping[str, pd.DataFrame]]:
        for part in parts:
            for name, frame in part.items():
                rows[name] += len(frame)
                sums = {c: float(frame[c].sum()) for c in _summed(list(frame.columns))}
                totals.setdefault(name, Counter()).update(sums)
            yield part

    warehouse.save_marts(counted())
    made_from = dg.AssetExecutionContext.get().assets_def.asset_deps
    for key in TopologicalSorter(made_from).static_order():
        name = key.path[-1]
        if name not in totals:
            continue
        metadata = {
            "dagster/row_count": rows[name],
            CHOICES: dg.MetadataValue.json(settings.chosen.recorded),
            **{f"total_{column}": total for column, total in totals[name].items() if total},
            **figures.get(name, {}),
        }
        yield dg.MaterializeResult(asset_key=key, metadata=metadata)


class Progress:
    """Logs how many importers are done, after how long, and which have failed."""

    def __init__(self, context: dg.AssetExecutionContext, importers: Sequence[str]) -> None:
        self.log, self.n_all = context.log, len(importers)
        self.n_done, self.started = 0, time.monotonic()
        self.failures: dict[str, str] = {}

    def done(self, count: int, failures: Mapping[str, str] = MappingProxyType({})) -> None:
        """`count` more are done, some of them without a result. Raises WarehouseError when all
        of them, to the last, are without one."""
        self.n_done += count
        for importer, why in failures.items():
            self.log.warning(f"{importer} is left out: {why}")
            self.failures[importer] = why.partition("\n")[0]
        if len(self.failures) == self.n_all:
            raise WarehouseError(f"No importer could be computed: {self._told()}.")
        if self.n_all > count:
            seconds = time.monotonic() - self.started
            self.log.info(f"{self.n_done} of {self.n_all} importers, {seconds:.0f} s")

    def tables(
        self,
        groups: Iterable[Sequence[str]],
        made: Iterable[tuple[Mapping[str, pd.DataFrame], Mapping[str, str]]],
    ) -> Iterator[Mapping[str, pd.DataFrame]]:
        """The tables of each group that has any; see `minerals.parallel.one_by_one_on_failure`."""
        for group, (tables, failures) in zip(groups, made, strict=True):
            self.done(len(group), failures)
            if tables:
                yield tables

    def check(self, asset: str) -> dg.AssetCheckResult:
        """Whether all importers have rows; a warning, since the others are published."""
        return dg.AssetCheckResult(
            asset_key=asset,
            check_name=EVERY_ONE,
            passed=not self.failures,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"left out: {self._told()}"
            if self.failures
            else f"none of {self.n_all} importers failed",
        )

    def _told(self) -> str:
        return "; ".join(f"{importer}: {why}" for importer, why in self.failures.items())


def every_importer(asset: str) -> dg.AssetCheckSpec:
    """The declaration of `Progress.check`."""
    return dg.AssetCheckSpec(
        EVERY_ONE,
        asset=asset,
        description="An importer that cannot be computed is left out and named; the others go on.",
    )


def table_metadata(
    warehouse: Warehouse, names: Collection[str]
) -> tuple[dict[str, Metadata], Types]:
    """Of tables and views that dbt built: columns as they are, rows, totals. And the types of all
    columns in the warehouse."""
    found: dict[str, Metadata] = {}
    types: Types = {}
    with warehouse.reader() as connection:
        tables = connection.execute(
            "select schema_name, table_name, list((column_name, data_type, comment) "
            "order by column_index) from duckdb_columns() where not internal group by all"
        ).fetchall()
        for schema, table, columns in tables:
            types.setdefault(schema, {})[table] = {name: kind for name, kind, _ in columns}
            if table not in names or schema == "raw":
                continue
            summed = _summed([name for name, _, _ in columns])
            sums = "".join(f', sum(try_cast("{column}" as double))' for column in summed)
            n_rows, *totals = connection.execute(
                f'select count(*){sums} from "{schema}"."{table}"'
            ).fetchall()[0]
            described = [dg.TableColumn(n, kind, description=words) for n, kind, words in columns]
            found[table] = {
                COLUMNS: dg.TableSchema(described),
                "dagster/row_count": n_rows,
                **{f"total_{c}": t for c, t in zip(summed, totals, strict=True) if t},
            }
    return found, types


def _summed(columns: list[str]) -> list[str]:
    """The columns of value and quantity; none where each source of coefficients repeats a flow."""
    return [c for c in columns if _SUMMED.search(c) and "coefficient_source" not in columns]
