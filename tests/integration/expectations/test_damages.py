"""Every kind of damage is caught by the rule made for it, and every rule is seen to fail.

Each damage is done to a copy of one table of a refreshed warehouse. What a publisher delivers goes
through ingestion's own checks and the gate of its raw table, other tables through their gate alone.
The trade rows are those of some importers, so that a damage is judged in a fraction of a second.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from expectations.gates import GATES
from expectations.previous import Previous
from expectations.rules import Given
from minerals.errors import SourceError
from minerals.settings import Settings
from minerals.sources import providers
from orchestration.checks import given, previous_release
from tests.integration.expectations.damages import BUILT, DELIVERED, INDICATORS, TRADE, Damage
from tests.integration.expectations.gating import copy_of, judged, not_passed

ALL = {damage.name: damage for damage in (*DELIVERED, *BUILT)}
LATE = ("SP.POP.TOTL", "GC.DOD.TOTL.GD.ZS", "EG.ELC.RNWX.ZS", "CC.EST")
TRADE_BALANCE = """
    select count(*) as n_rows, sum(v::double) * 1000 as value_usd, j as importer_code,
        t::int as year
    from rows group by all"""


@dataclass
class Bench:
    """Sound tables to be damaged, and the release that was made of them."""

    settings: Settings
    some_trade: Path
    given: Given
    previous: Previous
    of_some_trade: Previous
    folder: Path

    def caught_by(self, damage: Damage) -> list[str]:
        """The rules that fail, or the words with which ingestion refuses."""
        schema, _, table = damage.table.rpartition(".")
        with copy_of(self.settings.database) as connection:
            sound = f"warehouse.{schema or 'raw'}.{table}"
            if damage.table == TRADE:
                sound = f"read_parquet('{self.some_trade}')"
            columns = "*" if schema else "* exclude (_snapshot_id)"
            connection.execute(f"create view rows as select {columns} from {sound}")
            damaged = damage.sql
            if not schema:
                try:
                    connection.register("delivered", self._delivered(damage, connection))
                except SourceError as error:
                    return [str(error)]
                damaged = "from delivered"
            name = f"{schema or 'raw'}.{table}"
            connection.execute(f"drop view {name}; create table {name} as {damaged}")
            previous = self.of_some_trade if damage.table == TRADE else self.previous
            reports = judged(damage.gate, self.given, connection, previous, damage.expected)
            return list(not_passed(reports))

    def _delivered(self, damage: Damage, connection: duckdb.DuckDBPyConnection) -> pa.Table:
        """The table of a damaged source, if ingestion accepts it."""
        settings = self.settings.model_copy(update={"figures_dir": self.folder})
        layout = providers(settings)[damage.table].source.tables[damage.table]
        if damage.edit:
            original = self.settings.figures_dir / f"{damage.table}.csv"
            (self.folder / original.name).write_bytes(damage.edit(original.read_bytes()))
            rows = providers(settings)[damage.table].fetch().read_tables()[damage.table]
        else:
            rows = connection.sql(damage.sql).to_arrow_table()
        return layout.checked(rows, "test")


@pytest.fixture(scope="module")
def bench(refreshed, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder: Path = tmp_path_factory.mktemp("damages")
    settings = refreshed.settings
    some_trade, balance = folder / "some_trade.parquet", folder / "trade_balance.parquet"
    with copy_of(settings.database) as connection:
        connection.execute(
            "create table rows as from raw.bilateral_trade where j in "
            "(select j from raw.bilateral_trade group by j having hash(j) % 12 = 0)"
        )
        connection.execute(f"copy rows to '{some_trade}' (format parquet)")
        connection.execute(f"copy ({TRADE_BALANCE}) to '{balance}' (format parquet)")
    previous = previous_release(refreshed.store(), settings)
    of_some_trade = replace(previous, folder=folder)
    return Bench(settings, some_trade, given(settings), previous, of_some_trade, folder)


@pytest.fixture(scope="module")
def caught(bench) -> dict[str, list[str]]:
    """What catches each damage."""
    return {name: bench.caught_by(damage) for name, damage in ALL.items()}


def test_every_dataset_and_gate_is_damaged_in_many_ways():
    assert len(ALL) == len(DELIVERED) + len(BUILT) >= 90
    assert {damage.gate for damage in ALL.values()} == {gate.table for gate in GATES}


@pytest.mark.parametrize("name", ALL)
def test_damage_is_caught_by_the_rule_made_for_it(caught, name):
    assert any(ALL[name].expected in rule for rule in caught[name]), caught[name]


def test_sound_trade_of_these_importers_passes(bench):
    assert bench.caught_by(Damage("nothing", TRADE, "", "from rows")) == []


def test_an_indicator_that_lags_two_years_passes(bench):
    """Its last figures are carried forward (`fct_country_covariates`)."""
    late = ", ".join(f'if(year > 2021, null, "{code}") as "{code}"' for code in LATE)
    late = f"select * replace ({late}) from rows"
    assert bench.caught_by(Damage("two years late", INDICATORS, "", late)) == []


@pytest.mark.parametrize("imputation", ["carried_forward", "region_median"])
def test_the_panel_is_not_judged_on_years_that_dbt_carried_forward(bench, imputation):
    """Two years of governance filled in fail, unless dbt says that the indicator lags."""
    with copy_of(bench.settings.database) as connection:
        for table, column, value in (
            ("marts.import_panel", "is_imputed_wgi_average", "true"),
            ("conformed.fct_country_covariates", "wgi_average_imputation", f"'{imputation}'"),
        ):
            late = f"if(year >= 2022, {value}, {column}) as {column}"
            connection.execute(f"drop view {table}")
            connection.execute(
                f"create view {table} as select * replace ({late}) from warehouse.{table}"
            )
        rule = "regressors_are_observed"
        reports = judged("import_panel", bench.given, connection, bench.previous, rule)
        assert (rule in not_passed(reports)) == (imputation != "carried_forward")


def test_every_rule_is_seen_to_fail(bench, caught):
    """A rule that no damage breaks says nothing, or misses a damage in the list."""
    failing = {gate.table: set() for gate in GATES}
    for name, rules in caught.items():
        failing[ALL[name].gate] |= set(rules)
    never = {
        f"{gate.table}.{rule.name}"
        for gate in GATES
        for suite in gate.suites(bench.given)
        for rule in suite.rules
        if rule.name not in failing[gate.table]
    }
    assert never == set()
