"""The portfolio's marts on real data: keys, shares, limits, and what everybody knows of India."""

import duckdb
import numpy as np
import pytest

from minerals.marts import published
from minerals.settings import Settings
from minerals.sourcing.programme import LEAST_ATTRACTIVE

PORTFOLIO = [name for name in published() if name.startswith("portfolio_")]
MARKET = "importer_iso3, category, mineral"


@pytest.mark.parametrize("mart", PORTFOLIO)
def test_every_mart_has_rows_of_both_importers_and_a_unique_key(refreshed, mart):
    key = ", ".join(published()[mart].key)
    assert (
        refreshed.served(f"select {key} from marts.{mart} group by all having count(*) > 1") == []
    )
    importers = refreshed.served(f"select distinct importer_iso3 from marts.{mart} order by 1")
    assert importers == [("IND",), ("JPN",)]


@pytest.mark.parametrize("share", ["actual_share", "model_share", "recommended_share"])
def test_shares_of_a_market_sum_to_one(refreshed, share):
    apart = refreshed.served(
        f"select {MARKET}, sum({share}) from marts.portfolio_partners group by all "
        f"having abs(sum({share}) - 1) > 1e-9"
    )
    assert apart == []
    known = refreshed.served(f"select count({share}) from marts.portfolio_partners")
    assert known[0][0] > 1_000


def test_one_source_is_the_headline_of_a_market(refreshed):
    wrong = refreshed.served(
        f"select {MARKET} from marts.ranking_forward where is_headline group by all "
        "having count(distinct coefficient_source) <> 1 or min(headline_reason) = ''"
    )
    assert wrong == []
    leaders = refreshed.served(
        "select distinct coefficient_source from marts.ranking_forward "
        "where is_headline and importer_iso3 = 'IND' and category = 'ores' order by 1"
    )
    assert leaders == [("estimated",), ("published",), ("world",)]
    without = refreshed.served(
        "select count(*) from marts.ranking_forward where coefficient_source = 'world' "
        "and not is_headline"
    )
    assert without == [(0,)]  # the backtest has it lead wherever it ranks


def test_recommended_shares_keep_capacity_and_the_limit_on_change(refreshed):
    settings = Settings()
    above = refreshed.served(
        "select count(*) from marts.portfolio_partners "
        "where recommended_share > capacity_share + 1e-6 or recommended_share < 0"
    )
    assert above == [(0,)]
    moved = refreshed.served(
        f"select {MARKET}, sum(abs(recommended_share - coalesce(actual_share, 0))) / 2 as moved "
        "from marts.portfolio_partners group by all having count(actual_share) > 0"
    )
    assert len(moved) > 40
    assert max(row[-1] for row in moved) <= settings.change_limit + 1e-6
    states = refreshed.served("select distinct is_feasible from marts.portfolio_optimization")
    assert states == [(True,)]


def test_every_recommended_portfolio_is_that_of_cvxpy(refreshed):
    cp = pytest.importorskip("cvxpy", reason="cvxpy is a development dependency")
    choices = refreshed.settings.choices
    columns = "model_share, supplier_risk, capacity_share, actual_share, recommended_share"
    with duckdb.connect(str(refreshed.settings.serving_database), read_only=True) as connection:
        partners = connection.sql(f"select {MARKET}, {columns} from marts.portfolio_partners").df()
    compared = 0
    for key, rows in partners.groupby(MARKET.split(", ")):
        a = np.maximum(rows["model_share"].to_numpy(), LEAST_ATTRACTIVE)
        w = cp.Variable(len(rows))
        objective = -cp.sum(cp.entr(w)) - np.log(a) @ w
        objective += choices.concentration_penalty * cp.sum_squares(w)
        objective += choices.risk_penalty * rows["supplier_risk"].to_numpy() @ w
        limits = [cp.sum(w) == 1, w >= 0, w <= rows["capacity_share"].fillna(1.0).to_numpy()]
        if rows["actual_share"].notna().any():
            today = rows["actual_share"].fillna(0.0).to_numpy()
            limits.append(cp.norm1(w - today) <= 2 * choices.change_limit)
        problem = cp.Problem(cp.Minimize(objective), limits)
        try:
            problem.solve("CLARABEL", tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
        except cp.SolverError:  # it gives up where shares differ by nine orders of magnitude
            continue
        if problem.status == "optimal":
            compared += 1
            found = rows["recommended_share"].to_numpy()
            np.testing.assert_allclose(found, w.value, atol=1e-6, err_msg=str(key))
    assert compared > 40


def test_recommended_portfolios_are_less_concentrated_where_imports_are(refreshed):
    rows = refreshed.served(
        "select hhi_actual, hhi_recommended from marts.portfolio_strategy "
        "where strategy = 'diversify'"
    )
    assert len(rows) > 20
    assert all(then < now for now, then in rows)


def test_strategies_and_roles_of_india(refreshed):
    rows = refreshed.served(
        "select mineral || ' ' || category, strategy, rationale from marts.portfolio_strategy "
        "where importer_iso3 = 'IND'"
    )
    words = {market: word for market, word, _ in rows}
    assert words["Rare Earths products"] == "diversify"  # two thirds come from China
    assert words["Copper ores"] == "rebalance"
    assert words["Gallium ores"] == "secure_long_term"  # five producers in the world
    assert words["Nickel scrap"] == "build_data"  # the bundle has no scrap
    reasons = {market: reason for market, _, reason in rows}
    assert "CHN supplies 67% of the imports" in reasons["Rare Earths products"]
    roles = refreshed.served(
        "select role from marts.portfolio_partners where importer_iso3 = 'IND' "
        "and mineral = 'Phosphorous' and category = 'ores' and exporter_iso3 = 'MAR'"
    )
    assert roles == [("established",)]


def test_losing_morocco_hurts_phosphate_and_losing_china_rare_earths(refreshed):
    """Morocco is one of India's ten largest partners by value; China is not, but leads in some."""
    rows = refreshed.served(
        "select category, mineral from marts.portfolio_shocks "
        "where importer_iso3 = 'IND' and shock = 'loss of MAR' order by lost_share desc limit 1"
    )
    assert rows == [("ores", "Phosphorous")]
    lost = refreshed.served(
        "select lost_exporters, lost_share from marts.portfolio_shocks where importer_iso3 = 'IND' "
        "and shock_kind = 'largest_supplier' and mineral = 'Rare Earths' and category = 'products'"
    )
    assert lost == [("CHN", pytest.approx(0.666, abs=0.001))]
    events = refreshed.served(
        "select count(distinct shock) from marts.portfolio_shocks where shock_kind = 'event' "
        "and event_source <> '' and event_date is not null"
    )
    assert events == [(11,)]


def test_no_word_rests_on_few_candidates_alone(refreshed):
    """Gallium has five candidates: all were persistent, and leading with probability 1.00."""
    market = "importer_iso3, category, mineral, coefficient_source"
    leading = refreshed.served(
        f"select min(effective_k), min(effective_k) - sum(top_k_probability), count(*) "
        f"from marts.ranking_forward group by {market}"
    )
    assert all(k == min(10, (n + 1) // 2) and abs(excess) < 1e-9 for k, excess, n in leading)
    assert min(n for *_, n in leading) <= 5
    same = refreshed.served(
        f"select {market} from marts.ranking_persistence group by all "
        "having bool_and(persistence = 'persistent')"
    )
    assert same == []
    same = refreshed.served(
        f"select {MARKET} from marts.portfolio_partners group by all "
        "having bool_and(role = 'untapped' and top_k_probability = 1)"
    )
    assert same == []


def test_core_partners_of_india(refreshed):
    core = refreshed.served(
        "select exporter_iso3 from marts.portfolio_core_partners "
        "where importer_iso3 = 'IND' and partner_type = 'core' order by 1"
    )
    assert {("CHN",), ("USA",)} <= set(core)


def test_the_command_line_shows_a_portfolio_and_a_shock(refreshed):
    shown = refreshed.ask("portfolio", "--mineral", "copper", "--category", "ores")
    assert shown.returncode == 0, shown.stderr
    assert "Copper ores for IND" in shown.stdout and "What binds: capacity of" in shown.stdout
    lost = refreshed.ask(
        "shock", "--lose", "chn", "--mineral", "Rare Earths", "--category", "products"
    )
    assert lost.returncode == 0, lost.stderr
    assert "IND India without CHN" in lost.stdout and "Recommended without them" in lost.stdout
    absent = refreshed.ask("portfolio", "--importer", "DEU")
    assert "`minerals importers add DEU`" in absent.stderr


def test_every_share_of_the_release_is_from_zero_to_one(refreshed):
    columns = refreshed.served(
        "select table_name, column_name from duckdb_columns() where schema_name = 'marts' "
        "and column_name like '%\\_share' escape '\\' "
        "and column_name not in ('change_share', 'premium_share')"
    )
    assert len(columns) > 15
    outside = [
        (table, column)
        for table, column in columns
        if refreshed.served(
            f"select count(*) from marts.{table} where {column} not between 0 and 1"
        )
        != [(0,)]
    ]
    assert outside == []


def test_the_outlier_of_papua_new_guinea_is_no_advice(refreshed):
    """Its copper ore of 2020 weighed a seventieth of what was reported."""
    ((evidence, role, share, doubtful),) = refreshed.served(
        "select evidence, role, actual_share, doubtful_qty_kg / annual_qty_kg "
        "from marts.portfolio_partners where importer_iso3 = 'IND' "
        "and mineral = 'Copper' and category = 'ores' and exporter_iso3 = 'PNG'"
    )
    assert f"{doubtful:.0%} of it estimated from its value" in evidence
    assert share < 0.03 and role not in ("established", "relied_on")  # 23% as reported


def test_a_supplier_of_nothing_has_no_share_in_every_table(refreshed):
    differing = refreshed.served(
        "select h.mineral, h.category, h.exporter_iso3, h.actual_share, o.actual_share "
        "from marts.ranking_headline as h join marts.supplier_overview as o "
        "using (importer_iso3, mineral, category, exporter_iso3) "
        "where h.actual_share is distinct from o.actual_share "
        "and coalesce(abs(h.actual_share - o.actual_share) > 1e-12, true)"
    )
    assert differing == []
