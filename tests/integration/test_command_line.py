"""The commands that read, on one refreshed warehouse, in this process."""

import csv
import io
import json
import os
import shutil
from pathlib import Path
from unittest import mock

import dagster as dg
import duckdb
import pytest

from minerals.names import CATEGORIES, MODEL_DESCRIPTIONS
from minerals.settings import PROJECT_ROOT, Settings
from minerals.sources.snapshots import Snapshot, SnapshotStore
from orchestration.cli import releases
from orchestration.jobs import importers_that_leave
from orchestration.run import open_instance
from tests.integration.conftest import TestWarehouse


def refusal(done) -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_output_in_a_pipe_is_csv_with_all_rows_and_digits(refreshed):
    sql = "select i, i / 3 as third, '[b]' as \"[/x]\", i > 1, null from range(300) as t(i)"
    rows = list(csv.reader(io.StringIO(refreshed.ask("query", sql).stdout)))
    assert len(rows) == 301
    assert rows[0][2] == "[/x]"
    assert rows[3] == ["2", str(2 / 3), "[b]", "true", ""]


def test_json_has_no_nan_and_refuses_a_name_twice(refreshed):
    sql = "select 1.5::decimal(4, 2) as a, 'nan'::double as b, date '2024-01-02' as c"
    assert json.loads(refreshed.ask("query", sql, "--format", "json").stdout) == [
        {"a": 1.5, "b": None, "c": "2024-01-02"}
    ]
    nothing = refreshed.ask("query", "select 1 as a where false", "--format", "json")
    assert json.loads(nothing.stdout) == []
    twice = refreshed.ask("query", "select 1 as a, 2 as a", "--format", "json")
    assert "More than one column is called a" in refusal(twice)


def test_a_wide_answer_has_a_line_per_column_and_a_long_one_is_cut(refreshed):
    sql = "from marts.ranking_forward order by forward_rank limit 2"
    shown = refreshed.ask("query", sql, "--format", "table", COLUMNS="80").stdout.splitlines()
    assert shown[0] == "row 1"
    assert "row 2" in shown and "row 3" not in shown
    assert any(line.startswith("  exporter_iso3 ") for line in shown)
    assert "row 1" not in refreshed.ask("query", sql, "--format", "table", COLUMNS="900").stdout
    long = refreshed.ask("query", "from range(201)", "--format", "table").stdout
    assert "only the first 200 rows" in long


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (" ; ", "There is no SQL to run"),
        ("select 1; select 2", "2 statements: give one at a time"),
        ("selec 1", "syntax error"),
        ("delete from marts.ppml_fit", "of kind DELETE. The published marts are read-only"),
        ("copy (select 1) to 'releases/current/ppml_fit.parquet'", "of kind COPY"),
        ("from read_csv('/etc/passwd')", "DuckDB refuses the query: Permission Error"),
    ],
)
def test_a_query_that_cannot_run_gets_a_sentence(refreshed, sql, words):
    assert words in refusal(refreshed.ask("query", sql))


def test_a_ranking_has_names_beside_codes_and_shows_the_headline(refreshed):
    done = refreshed.ask("rank", "--mineral", "lithium", "--category", "Products", "--top", "3")
    assert done.returncode == 0, done.stderr
    first, source, n_candidates = refreshed.served(
        "select exporter_iso3, coefficient_source, count(*) over () from marts.ranking_forward "
        "where importer_iso3 = 'IND' and mineral = 'Lithium' and category = 'products' "
        "and is_headline order by forward_rank limit 1"
    )[0]
    title, header, *rows = done.stdout.splitlines()
    assert title.strip() == f"Lithium products for IND India, {source} model"
    assert refreshed.ask("rank", "lithium", "products", "--top", "3").stdout == done.stdout
    assert header.split()[:2] == ["rank", "supplier"]
    assert rows[0].split()[:2] == ["1", first]
    assert rows[3] == f"The model says {MODEL_DESCRIPTIONS[source]}."
    assert rows[4].startswith("Why this model: ")
    assert f"{n_candidates} candidates in all.\nRelease {refreshed.release_id()}." in done.stdout
    other = "published" if source == "estimated" else "estimated"
    chosen = refreshed.ask("rank", "--mineral", "Lithium", "--category", "products",
                           "--source", other)  # fmt: skip
    assert MODEL_DESCRIPTIONS[other] in chosen.stdout and "Why" not in chosen.stdout


def test_importers_are_compared_side_by_side(refreshed):
    done = refreshed.ask("compare", "--importers", "IND,JPN", "--mineral", "lithium",
                         "--category", "products", "--top", "2", COLUMNS="200")  # fmt: skip
    assert done.returncode == 0, done.stderr
    title, header, *rows, _ = done.stdout.splitlines()
    assert title.strip() == "Lithium products"
    assert header.split() == ["supplier", "IND", "India", "JPN", "Japan"]
    ranks = refreshed.served(
        "select exporter_iso3, importer_iso3, forward_rank from marts.ranking_forward "
        "where mineral = 'Lithium' and category = 'products' and is_headline"
    )
    leading = {exporter for exporter, _, rank in ranks if rank <= 2}
    assert {row.split()[0] for row in rows if row.strip()} == leading
    of_japan = {exporter: rank for exporter, importer, rank in ranks if importer == "JPN"}
    first = rows[0].split()[0]
    assert f"{of_japan[first]} (" in rows[0]


def test_a_ranking_without_a_category_shows_all_of_them(refreshed):
    shown = refreshed.ask("rank", "LI", "--importer", "japan").stdout
    titles = [line.split(",")[0] for line in shown.splitlines() if " for JPN Japan, " in line]
    assert titles == [f"Lithium {category} for JPN Japan" for category in CATEGORIES]


def test_why_silicon_has_no_data_is_true(refreshed):
    """No HS92 code of the mapping that means one of the minerals without data is in the bundle."""
    held = {mineral for (mineral,) in refreshed.served("select mineral from marts.ranking_forward")}
    mapped = refreshed.query("select hs_code, mineral from seeds.hs_mineral_map "
                             "where hs_revision = 'H0'")  # fmt: skip
    snapshot = SnapshotStore(refreshed.settings.raw_dir).current("bilateral_trade")
    file = snapshot.parquet("bilateral_trade")
    with duckdb.connect() as memory:
        traded = memory.sql(f"select distinct lpad(k::varchar, 6, '0') from '{file}'").fetchall()
    of_missing = {code for code, mineral in mapped if mineral not in held}
    assert len(of_missing) > 5 and not of_missing & {code for (code,) in traded}


def test_without_a_mineral_importers_are_compared_by_concentration(refreshed):
    _, header, first, *_ = refreshed.ask("compare", COLUMNS="200").stdout.splitlines()
    assert header.split() == ["mineral", "category", "IND", "India", "JPN", "Japan"]
    ((mineral, category, hhi),) = refreshed.served(
        "select mineral, category, hhi_actual from marts.portfolio_concentration "
        "order by hhi_actual desc nulls last limit 1"
    )
    assert first.split()[:2] == [mineral, category] and f"{hhi:.2f}" in first
    both = refreshed.ask("compare", "tin", "--importers", "india,Japan").stdout
    assert [line.strip() for line in both.splitlines() if line.startswith("Tin ")] == [
        f"Tin {category}" for category in CATEGORIES
    ]


def test_the_markets_at_risk_are_the_most_concentrated_and_say_why(refreshed):
    shown = refreshed.ask("risk", "--top", "5", COLUMNS="250").stdout.splitlines()
    markets = refreshed.served(
        "select mineral, category, hhi_actual, top1_share from marts.portfolio_concentration "
        "where importer_iso3 = 'IND' order by hhi_actual desc nulls last limit 5"
    )
    for line, (mineral, category, hhi, share) in zip(shown[2:7], markets, strict=True):
        assert line.startswith(mineral) and category in line
        assert f" {hhi:.2f} " in line and f" sells {share:.0%}" in line
    earths = refreshed.ask("risk", "rare", "earths", "products", COLUMNS="250").stdout
    assert "weakly governed suppliers; China mines" in earths


def test_minerals_are_listed_with_the_data_that_each_has(refreshed):
    shown = refreshed.ask("list", COLUMNS="200").stdout
    lines = {line.split("  ")[0]: line.split() for line in shown.splitlines()}
    (n,) = refreshed.served(
        "select n_suppliers from marts.portfolio_concentration where importer_iso3 = 'IND' "
        "and mineral = 'Lithium' and category = 'products'"
    )[0]
    assert lines["Lithium"] == ["Lithium", "Li", "ranked", str(n), "ranked", "AUS", "Australia"]
    assert lines["Silicon"] == ["Silicon", "Si"]
    assert "No line in the bundle; the live profile brings it" in shown
    assert " Hafnium; " in " ".join(shown.split())


def test_countries_and_marts_are_listed(refreshed):
    assert "JPN   Japan" in refreshed.ask("list", "countries").stdout
    marts = {line.split()[0] for line in refreshed.ask("list", "marts").stdout.splitlines()[1:-1]}
    assert {"ranking_forward", "trade_balance"} <= marts


def test_show_tables_shows_the_marts_which_need_no_schema(refreshed):
    shown = refreshed.ask("query", "show tables").stdout.splitlines()
    views = refreshed.served("select view_name from duckdb_views() where schema_name = 'marts'")
    assert shown == ["name", *sorted(name for (name,) in views)]
    count = refreshed.ask("query", "select count(*) as n from ranking_forward").stdout
    assert count == refreshed.ask("query", "select count(*) as n from marts.ranking_forward").stdout


def test_suppliers_are_lost_by_name(refreshed):
    by_name = refreshed.ask("shock", "copper", "ores", "--lose", "chile,Peru")
    by_code = refreshed.ask("shock", "--lose", "CHL", "--lose", "PER", "--mineral", "Copper",
                            "--category", "ores")  # fmt: skip
    assert by_name.stdout == by_code.stdout
    assert "IND India without CHL Chile, PER Peru" in by_name.stdout


def test_a_mart_is_exported_by_its_name_alone(refreshed, tmp_path):
    target = tmp_path / "a.csv"
    done = refreshed.ask("export", "RANKING_forward", "--mineral", "li", "--importer", "Japan",
                         "--category", "Products", "--output", str(target))  # fmt: skip
    (n,) = refreshed.served(
        "select count(*) from marts.ranking_forward where importer_iso3 = 'JPN' "
        "and mineral = 'Lithium' and category = 'products'"
    )[0]
    assert done.stdout.startswith(f"{n:,} rows of ranking_forward")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rank", "--mineral", "Lithum", "--category", "ores"), "Did you mean Lithium?"),
        (("rank", "--mineral", "Copper", "--category", "ingots"), "ores, products, scrap"),
        (("rank", "--mineral", "Copper", "--category", "ores", "--source", "our"), "published"),
        (("rank", "--mineral", "Copper", "--category", "ores", "--importer", "BRA"),
         "`minerals importers add BRA`"),
        (("rank",), "Name a mineral, for example `minerals rank lithium`"),
        (("rank", "rare", "erths"), "Did you mean Rare Earths?"),
        (("rank", "rare", "earths", "ingots"), "There is no category 'ingots'"),
        (("rank", "silicon"), "Silicon has no line in the bundle; the live profile brings it"),
        (("rank", "copper", "--importer", "Jpan"), "Did you mean Japan (JPN)?"),
        (("portfolio", "--mineral", "Coper"), "Did you mean Copper?"),
        (("risk", "coper"), "Did you mean Copper?"),
        (("compare", "lithium", "--importers", "Japan"), "compare needs two importers"),
        (("compare", "--importers", ""), "compare needs two importers"),
        (("brief", "lithium", "ores"), "brief covers all categories"),
        (("export",), "Name a mart"),
        (("export", "rankin_forward"), "Did you mean ranking_forward?"),
        (("export", "ranking_forward", "--importer", "Jpan"), "Did you mean Japan (JPN)?"),
        (("query", "from rankin_forward"), 'Did you mean "ranking_forward"'),
        (("shock", "--lose", "XX"), "There is no country 'XX'. Write for example India or IND."),
        (("shock", "tin", "ores", "--lose", "Monaco"), "--lose MCO Monaco: no supplier"),
        (("shock", "--lose", "Chnia"), "Did you mean China (CHN)?"),
        (("shock",), "--lose nothing: no supplier"),
        (("shock", "--lose", " , "), "--lose nothing: no supplier"),
        (("releases", "diff", "current", "current", "--mineral", "Lithum"), "Lithium"),
        (("releases", "verify", "nope"), "There is no release that begins with 'nope'"),
        (("releases", "rollback"), "no release before the current one"),
        (("snapshots", "use", "prodction", "latest"), "Did you mean production?"),
        (("snapshots", "diff", "production", "zzz"), "no snapshot of production that begins with"),
        (("export", "--mart", "ranking_forward", "--mineral", "Lithum"), "Lithium"),
    ],
)  # fmt: skip
def test_a_wrong_name_is_answered_with_the_right_ones(refreshed, arguments, words):
    assert words in refusal(refreshed.ask(*arguments))


def test_a_portfolio_shows_actions_roles_reasons_and_what_binds(refreshed):
    shown = refreshed.ask("portfolio", "--mineral", "copper", "--category", "ores").stdout
    suppliers = refreshed.served(
        "select exporter_iso3, action, replace(role, '_', ' '), change_share "
        "from marts.portfolio_partners where "
        "(importer_iso3, category, mineral) = ('IND', 'ores', 'Copper') "
        "order by recommended_share desc limit 12"
    )
    lines = shown.splitlines()
    assert lines[1].split()[:2] == ["action", "supplier"] and lines[1].split()[-1] == "role"
    for line, (exporter, action, role, change) in zip(lines[2:14], suppliers, strict=True):
        assert line.startswith(f"{action:<6}  {exporter} ") and line.rstrip().endswith(role)
        assert action == ("more" if change >= 0.01 else "less" if change <= -0.01 else "keep")
    assert {action for _, action, *_ in suppliers} == {"more", "keep", "less"}
    for words in ("What binds: ", "Frontier, HHI", "*"):
        assert words in shown
    rationale = refreshed.served(
        "select rationale from marts.portfolio_strategy "
        "where (importer_iso3, category, mineral) = ('IND', 'ores', 'Copper')"
    )[0][0]
    assert rationale.split() == shown.split()[shown.split().index(rationale.split()[0]):][
        : len(rationale.split())
    ]  # fmt: skip


def test_a_diff_of_a_release_with_itself_moves_nobody(refreshed):
    shown = refreshed.ask("releases", "diff", "current", "current").stdout
    (n,) = refreshed.served("select count(*) from marts.ranking_forward")[0]
    assert f"0 of {n:,} forward ranks differ" in shown
    assert "changed" not in shown


def test_the_generated_page_of_columns_is_written_from_the_release(
    refreshed, tmp_path, monkeypatch
):
    monkeypatch.setattr(releases, "COLUMNS_PAGE", tmp_path / "columns.md")
    assert "holds what is declared" in refreshed.ask("contract").stdout
    assert refreshed.ask("contract", "--write").returncode == 0
    page = (tmp_path / "columns.md").read_text()
    described = refreshed.served(
        "select comment from duckdb_columns() where schema_name = 'marts' "
        "and table_name = 'ranking_forward' and column_name = 'forward_rank'"
    )[0][0]
    assert described in page
    assert "`portfolio_partners`" in page and "rank, 1 is the first" in page
    committed = (PROJECT_ROOT / "docs" / "columns.md").read_text(encoding="utf-8")
    assert page == committed, "run `minerals contract --write` and commit docs/columns.md"


def test_importers_are_kept_and_one_that_would_leave_is_told(own):
    unset = {k: v for k, v in own.environment.items() if k != "MINERALS_IMPORTERS"}
    plain = TestWarehouse(own.settings, unset)
    added = plain.ask("importers", "add", "germany,Japan", "BRA").stdout
    assert "Importers: IND India, DEU Germany, JPN Japan, BRA Brazil." in added
    listed = [line.split() for line in plain.ask("importers").stdout.splitlines()]
    assert ["JPN", "Japan", "yes", "yes"] in listed and ["BRA", "Brazil", "yes"] in listed
    assert "`minerals refresh` brings it" in refusal(plain.ask("rank", "tin", "--importer", "BRA"))
    plain.ask("importers", "remove", "japan", "brazil")
    with mock.patch.dict(os.environ, unset, clear=True):
        left = importers_that_leave(Settings())
    assert left and left.startswith("JPN will leave the release: the importers of this run are IND")
    assert importers_that_leave(own.settings) is None
    assert (
        "MINERALS_IMPORTERS=IND,JPN is set and overrides"
        in own.ask("importers", "add", "France").stdout
    )
    assert "BRA is none of the importers" in refusal(plain.ask("importers", "remove", "BRA"))
    assert "One importer has to stay" in refusal(
        plain.ask("importers", "remove", "india,germany,france")
    )
    assert "Importers: all." in plain.ask("importers", "add", "all").stdout
    own.settings.importers_file.unlink()


def publish_again(warehouse: TestWarehouse) -> str:
    """A second release of the same tables; the id of the first."""
    before, store = warehouse.release_id(), warehouse.store()
    manifest = store.manifest() or {}
    facts = ("run_id", "settings", "snapshots", "reported_trade_snapshot_id", "fits", "checks")
    with duckdb.connect(str(warehouse.settings.database)) as database:
        store.publish(database, {name: manifest[name] for name in facts})
    return before


def test_a_release_is_named_by_its_place_or_the_beginning_of_its_id(own):
    older = publish_again(own)
    newer = own.release_id()
    beginning = next(older[:n] for n in range(len(older)) if not newer.startswith(older[:n]))
    assert "More than one release" in refusal(own.ask("releases", "show", older[:2]))
    assert f"{older}: sound" in own.ask("releases", "verify", beginning).stdout
    steps = ((beginning, older), ("current", older), (newer, newer), ("previous", older),
             (newer, newer))  # fmt: skip
    for name, served in steps:
        done = own.ask("releases", "rollback", name)
        assert f"release {served} is served again" in done.stdout
        assert own.release_id() == served
    listed = own.ask("releases", "list", COLUMNS="80").stdout
    assert [line[:1] for line in listed.splitlines()[1:]] == [" ", "→"]
    assert older in listed and newer in listed


def test_a_damaged_serving_database_is_named_and_written_again(own):
    file = own.settings.serving_database
    file.write_bytes(b"garbage" * 10_000)
    assert "rollback current" in refusal(own.ask("query", "select 1"))
    file.unlink()
    assert "rollback current" in refusal(own.ask("query", "select 1"))
    assert own.ask("releases", "rollback", "current").returncode == 0
    assert own.ask("query", "select 1 as a").stdout == "a\n1\n"


def status(warehouse: TestWarehouse) -> dict:
    done = warehouse.ask("status", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == found["exit_code"]
    return found


def other_snapshot(store: SnapshotStore) -> Snapshot:
    """The production in use, as if the publisher had sent other bytes."""
    kept = store.current("production")
    names = [table.name for table in kept.tables]
    described = {n: getattr(kept, n) for n in ("provider", "citation", "licence", "url")}

    def write(target: Path) -> dict[str, Path]:
        return {n: Path(shutil.copy(kept.parquet(n), target / f"{n}.parquet")) for n in names}

    return store.create("production", described, "0" * 64, kept.layout, write)[0]


def test_status_is_fine_after_a_refresh(own):
    found = status(own)
    assert found["exit_code"] == 0
    assert found["release_id"] == own.release_id()
    assert found["last_run"]["job"] == "refresh" and found["last_run"]["status"] == "succeeded"
    assert {source["dataset"] for source in found["sources"]} >= {"production"}
    assert (found["stale"], found["checks_failed"], found["damaged_sources"]) == ([], [], [])
    shown = own.ask("status").stdout
    for words in (own.release_id(), "IND India, ores: estimated", "1,264,888 rows", "CEPII"):
        assert words in shown


def test_status_tells_a_snapshot_in_use_that_is_not_the_releases(own):
    store = SnapshotStore(own.settings.raw_dir)
    before, chosen = store.current("production"), other_snapshot(store)
    store.use(chosen)
    found = status(own)
    store.use(before)
    assert found["exit_code"] == 2
    (words,) = found["stale"]
    assert before.snapshot_id in words and chosen.snapshot_id in words
    assert status(own)["exit_code"] == 0


def test_status_tells_a_damaged_source(own):
    file = SnapshotStore(own.settings.raw_dir).current("production").parquet("production")
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    found = status(own)
    file.write_bytes(content)
    assert found["exit_code"] == 1
    assert "production.parquet does not have the sha256" in found["damaged_sources"][0]


def test_status_tells_a_failed_run_also_behind_a_later_one_of_a_source(own):
    with open_instance(own.settings) as instance:
        runs = [
            dg.DagsterRun("refresh", status=dg.DagsterRunStatus.FAILURE),
            dg.DagsterRun("ingest_production", status=dg.DagsterRunStatus.SUCCESS),
        ]
        for run in runs:
            instance.add_run(run)
        found = status(own)
        instance.delete_run(runs[1].run_id)
        alone = status(own)
        instance.delete_run(runs[0].run_id)
    assert found["exit_code"] == alone["exit_code"] == 1
    assert found["last_run"]["job"] == "ingest_production"
    assert found["last_publishing_run"]["status"] == "failed"
    assert alone["last_run"] == alone["last_publishing_run"]
    assert status(own)["exit_code"] == 0
