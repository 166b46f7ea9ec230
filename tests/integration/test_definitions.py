"""The code location is what a data engineer expects to find; nothing disappears unnoticed."""

import dagster as dg
import pytest

from minerals.marts import published
from minerals.sources import DATASETS
from orchestration.assets import WRITER_POOL
from orchestration.definitions import build_definitions
from orchestration.run import open_instance
from tests.integration.definitions_text import FILE, both

RELEASE = dg.AssetKey("release")


@pytest.fixture(scope="module")
def definitions(refreshed) -> dg.Definitions:
    return build_definitions(refreshed.settings)


@pytest.fixture(scope="module")
def nodes(definitions):
    return list(definitions.resolve_asset_graph().asset_nodes)


def test_nothing_appeared_or_disappeared_unnoticed(refreshed):
    """Intended? `make definitions` writes the file again, and its diff goes into the commit."""
    assert both(refreshed.settings) == FILE.read_text(encoding="utf-8")


def test_what_is_published_and_ingested_is_an_asset(nodes):
    names = {node.key.to_user_string() for node in nodes}
    assert set(published()) | {f"raw_{dataset}" for dataset in DATASETS} <= names


def test_the_neighbours_of_the_panel_fit_on_a_screen(nodes):
    (panel,) = [node for node in nodes if node.key == dg.AssetKey("import_panel")]
    assert len(panel.parent_keys) + len(panel.child_keys) <= 20


def test_every_table_shows_its_columns_before_it_is_built(nodes):
    for node in nodes:
        if node.group_name not in ("sources", "ingestion", "seeds") and node.key != RELEASE:
            columns = node.metadata["dagster/column_schema"].columns
            assert [c.name for c in columns if not c.description] == [], node.key


def test_a_mart_made_in_python_shows_its_types_and_words(nodes):
    (fit,) = [node for node in nodes if node.key == dg.AssetKey("ppml_fit")]
    columns = {c.name: c for c in fit.metadata["dagster/column_schema"].columns}
    assert columns["pseudo_r2"].type == "DOUBLE"
    assert "McFadden" in columns["pseudo_r2"].description


def test_marts_are_tagged_with_importers_and_categories(nodes):
    tags = {node.key.to_user_string(): set(node.tags) for node in nodes}
    assert {"importer/IND", "importer/JPN", "category/scrap"} <= tags["ranking_forward"]
    assert {"importer/IND", "category/ores"} <= tags["import_panel"]
    assert not any(tag.startswith("importer/") for tag in tags["fct_trade_flow"])


def test_every_asset_can_be_read_in_the_ui(nodes):
    bare = [n.key.to_user_string() for n in nodes if not n.description or not n.owners]
    assert bare == []
    assert [n.key.to_user_string() for n in nodes if not n.kinds] == []


def test_every_asset_that_writes_waits_for_the_one_writer(definitions):
    for asset in definitions.assets:
        assert asset.op.pool == WRITER_POOL, asset.op.name


def test_the_release_waits_for_every_mart_and_every_gate(definitions):
    """For most through the steps that read them: a gate stops each step that reads its table."""
    graph = definitions.resolve_asset_graph()
    before = graph.get_ancestor_asset_keys(RELEASE)
    assert {dg.AssetKey(mart) for mart in published()} <= before
    of_step = {key: asset.keys for asset in definitions.assets for key in asset.keys}
    for mart in map(dg.AssetKey, published()):
        assert graph.get(mart).child_keys - of_step[mart], f"no step waits for {mart}"
    checks = [graph.get(key) for key in graph.asset_check_keys]
    gated = {c.key.asset_key.to_user_string() for c in checks if c.blocking}
    assert {"import_panel", "fct_country_covariates"} <= gated


def metadata_of(settings, name: str) -> dict:
    with open_instance(settings) as instance:
        entry = instance.get_latest_materialization_event(dg.AssetKey(name))
        return {key: value.value for key, value in entry.asset_materialization.metadata.items()}


def test_a_release_leads_to_the_pages_of_the_gates_of_its_own_run(refreshed):
    pages = metadata_of(refreshed.settings, "release")["data_docs"]
    with open_instance(refreshed.settings) as instance:
        run_id = instance.get_latest_materialization_event(dg.AssetKey("release")).run_id
    assert pages == str(refreshed.settings.data_docs_dir / run_id / "index.html")


def test_a_run_leaves_figures_and_the_lineage_of_columns(refreshed):
    panel = metadata_of(refreshed.settings, "import_panel")
    made_of = panel["dagster/column_lineage"].deps_by_column
    parents = {(d.asset_key.to_user_string(), d.column_name) for d in made_of["products_qty_kg"]}
    assert ("fct_trade_flow", "qty_kg") in parents
    assert {table for table, _ in parents} == {"fct_trade_flow"}
    ((rows, value),) = refreshed.query(
        "select count(*), sum(ores_value_usd) from marts.import_panel"
    )
    assert panel["dagster/row_count"] == rows
    assert panel["total_ores_value_usd"] == pytest.approx(float(value))
    assert panel["seconds"] > 0
    staged = metadata_of(refreshed.settings, "stg_baci__trade_flow")["dagster/column_lineage"]
    assert {d.asset_key.to_user_string() for d in staged.deps_by_column["value_thousand_usd"]} == {
        "raw_bilateral_trade"
    }
    filled = metadata_of(refreshed.settings, "fct_country_covariates")["dagster/column_lineage"]
    read = {d.column_name for d in filled.deps_by_column["population"]}
    from_the_register = {"indicator", "value", "status"}
    assert read == {"population", "year"} | from_the_register
    fit = metadata_of(refreshed.settings, "ppml_fit")
    assert fit["choices"]["importers"] == ["IND", "JPN"]
    assert 0 < fit["IND_ores_pseudo_r2"] < 1
    assert fit["seconds"] > 0
