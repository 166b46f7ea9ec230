"""What BI reads: the release, its contract, the command line's answers."""

import json
import re
from collections import Counter

import duckdb
import pandas as pd
import pytest

from minerals.marts import published
from minerals.names import MODELS
from minerals.sources import DATASETS
from tests.integration.conftest import MAY_BE_EMPTY


def test_release_holds_every_mart_with_unique_keys(refreshed):
    for mart, declared in published().items():
        keys = ", ".join(declared.key)
        total, distinct = refreshed.served(
            f"select count(*), count(distinct ({keys})) from marts.{mart}"
        )[0]
        assert total == distinct, mart
        assert total > 0 or mart in MAY_BE_EMPTY, mart


def test_every_published_column_is_described(refreshed):
    bare = refreshed.served(
        "select table_name, column_name from duckdb_columns() "
        "where schema_name = 'marts' and coalesce(comment, '') = ''"
    )
    assert bare == []
    tables = refreshed.served(
        "select view_name from duckdb_views() where schema_name = 'marts' and comment is null"
    )
    assert tables == []


def test_manifest_names_inputs_and_hashes(refreshed):
    current = refreshed.release()
    manifest = json.loads((current / "manifest.json").read_text())
    assert manifest["release_id"] == refreshed.release_id()
    assert {s["dataset"] for s in manifest["snapshots"]} == set(DATASETS)
    assert manifest["settings"]["seed"] == refreshed.settings.seed
    assert {fit["category"] for fit in manifest["fits"]} == {"ores", "products", "scrap"}
    checks = manifest["checks"]
    judged = checks["n_passed"] + len(checks["not_passed"]) + len(checks["not_compared"])
    assert len(checks["outcomes"]) == judged > 50
    assert list(checks["outcomes"].values()).count("passed") == checks["n_passed"]
    for mart in manifest["marts"]:
        assert mart["sha256"] == manifest["files"][f"{mart['name']}.parquet"]
        assert len(pd.read_parquet(current / f"{mart['name']}.parquet")) == mart["row_count"]


def test_scrap_is_ranked_on_published_coefficients_and_says_why(refreshed):
    fits = refreshed.served(
        "select category, is_publishable, reason from marts.ppml_fit where importer_iso3 = 'IND'"
    )
    verdicts = {category: (ok, reason) for category, ok, reason in fits}
    assert verdicts["ores"][0] and verdicts["products"][0]
    assert not verdicts["scrap"][0]
    assert "no positive quantity" in verdicts["scrap"][1]
    sources = refreshed.served(
        "select distinct category, coefficient_source from marts.ranking_forward "
        "where importer_iso3 = 'IND' order by all"
    )
    assert sources == [
        *((category, model) for category in ("ores", "products") for model in sorted(MODELS)),
        ("scrap", "published"),
    ]  # fmt: skip


def test_unidentified_minerals_have_no_predicted_quantity(refreshed):
    """Lithium ores: the study saw no imports (its effect is -33.7); a rank, but no quantity."""
    rows = refreshed.served(
        "select count(*), count(predicted_qty_kg) from marts.ranking_forward where mineral = "
        "'Lithium' and category = 'ores' and coefficient_source = 'published'"
    )
    assert rows[0][0] > 0 and rows[0][1] == 0


def test_ranks_are_whole_and_intervals_hold_them_apart(refreshed):
    gaps = refreshed.served(
        "select count(*) from (select max(forward_rank) as m, count(*) as n, "
        "count(distinct forward_rank) as d from marts.ranking_forward "
        "group by importer_iso3, category, mineral, coefficient_source) where m <> n or d <> n"
    )
    assert gaps == [(0,)]
    odd = refreshed.served(
        "select count(*) from marts.ranking_forward "
        "where rank_low > rank_high or top_k_probability not between 0 and 1"
    )
    assert odd == [(0,)]


def test_variants_rank_the_candidates_of_the_forward_ranking_and_the_base_as_it_does(refreshed):
    """Only what is estimated; every candidate once by each variant, ranks whole."""
    by_variant = refreshed.served(
        "select importer_iso3, category, variant, count(v.forward_rank), count(f.forward_rank), "
        "count(*) filter (where v.forward_rank + v.rank_change_from_base <> f.forward_rank), "
        "count(*) filter (where v.rank_low > v.rank_high "
        "or v.top_k_probability not between 0 and 1) "
        "from marts.ranking_forward_variants as v full join (from marts.ranking_forward "
        "where coefficient_source = 'estimated') as f "
        "using (importer_iso3, category, mineral, exporter_iso3) group by all order by all"
    )
    compared = refreshed.served(
        "select importer_iso3, category, variant from marts.model_comparison "
        "semi join (from marts.ppml_fit where is_publishable) using (importer_iso3, category) "
        "where n_parameters is not null order by all"
    )
    assert [row[:3] for row in by_variant] == compared
    assert len(compared) >= 12
    for *_, n_ranked, n_candidates, n_moved_base, n_odd in by_variant:
        assert (n_ranked, n_moved_base, n_odd) == (n_candidates, 0, 0)
    gaps = refreshed.served(
        "select count(*) from (select max(forward_rank) as m, count(*) as n, "
        "count(distinct forward_rank) as d from marts.ranking_forward_variants "
        "group by importer_iso3, category, mineral, variant) where m <> n or d <> n"
    )
    assert gaps == [(0,)]


def test_alignment_follows_its_definition(refreshed):
    wrong = refreshed.served(
        """
        select count(*) from marts.ranking_annual
        where alignment <> case
            when predicted_rank <= effective_k and actual_rank <= effective_k then 'aligned'
            when actual_rank <= effective_k then 'overrepresented'
            when predicted_rank <= effective_k then 'underutilized'
            else 'peripheral'
        end
        """
    )
    assert wrong == [(0,)]
    labels = refreshed.served("select distinct alignment from marts.ranking_annual")
    assert len(labels) == 4


def test_shares_sum_to_one(refreshed):
    sums = refreshed.served(
        "select sum(actual_share) from marts.ranking_forward "
        "group by importer_iso3, category, mineral, coefficient_source "
        "having sum(actual_share) is not null"
    )
    assert len(sums) > 50
    assert all(total == pytest.approx(1.0) for (total,) in sums)


def test_replication_reaches_the_study(refreshed):
    """Published coefficients on our covariates against Table 5 of the study."""
    rows = refreshed.served(
        "select count(*), avg(overlap_share), avg(spearman_rho) from marts.replication_scorecard "
        "where category = 'ores' and n_candidates > 10"
    )
    minerals, overlap, rho = rows[0]
    print(f"ores: mean top-10 overlap {overlap:.4f}, Spearman {rho:.3f}, {minerals} minerals")  # noqa: T201
    assert minerals >= 25
    assert overlap >= 0.885
    assert rho >= 0.93


def test_replication_differences_are_the_scorecard_s(refreshed):
    """Printed places that are not ours: one less the overlap, counted supplier by supplier."""
    rows = refreshed.served(
        "select mineral, "
        "round((1 - any_value(overlap_share)) * least(10, any_value(n_published))), "
        "count(exporter_iso3) from marts.replication_scorecard "
        "left join (from marts.replication_differences "
        "where difference in ('printed_only', 'not_a_candidate')) using (category, mineral) "
        "group by category, mineral"
    )
    assert len(rows) == 37
    assert [row for row in rows if row[1] != row[2]] == []


def test_serving_database_refuses_writers_of_marts(refreshed):
    connection = duckdb.connect(str(refreshed.settings.serving_database), read_only=True)
    with pytest.raises(duckdb.Error):
        connection.execute("create table marts.mine as select 1")
    connection.close()


def test_summary_shows_fits_leaders_release_and_next_steps(refreshed):
    text = (refreshed.settings.warehouse_dir / "refresh.out").read_text()
    shown = [
        "pseudo R2",
        "Copper",
        "Lithium",
        "mean top-10",
        "Released",
        "make ui",
        "minerals query",
    ]
    for words in [*shown, "conformed: dbt_conformed done"]:
        assert words in text, words


def test_rank_command_prints_a_ranking(refreshed):
    done = refreshed.ask("rank", "--mineral", "lithium", "--category", "products")
    assert done.returncode == 0, done.stderr
    assert "Lithium products for IND" in done.stdout
    first = refreshed.served(
        "select exporter_iso3 from marts.ranking_forward where importer_iso3 = 'IND' and "
        "mineral = 'Lithium' and category = 'products' and coefficient_source = 'estimated' "
        "and forward_rank = 1"
    )[0][0]
    assert first in done.stdout
    other = refreshed.ask("rank", "--mineral", "Copper", "--category", "ores", "--importer", "JPN")
    assert "for JPN" in other.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rank", "--mineral", "Unobtainium", "--category", "ores"), "no mineral 'Unobtainium'"),
        (("rank", "--mineral", "Copper", "--category", "ingots"), "ores, products, scrap"),
        (("rank", "--mineral", "Copper", "--category", "ores", "--importer", "BRA"), "IND"),
        (("query", "select * from marts.nothing"), "nothing"),
    ],
)
def test_wrong_questions_get_an_answer_that_helps(refreshed, arguments, words):
    done = refreshed.ask(*arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("rank", "--mineral", "Copper", "--category", "ores"),
        ("query", "from marts.ppml_fit"),
        ("portfolio", "--mineral", "Copper"),
        ("shock", "--lose", "CHN", "--lose", "rus", "--mineral", "Cobalt"),
        ("settings",),
        ("export", "--mart", "ppml_fit", "--format", "csv", "--output", "/dev/null"),
    ],
)
def test_an_answer_loads_neither_dagster_nor_dbt(refreshed, arguments):
    """Each of them costs more than the answer."""
    done = refreshed.command(*arguments, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0, done.stdout
    lines = done.stderr.splitlines()
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert "minerals" in loaded
    assert loaded & {"dagster", "dagster_dbt", "dbt"} == set()


def test_every_supplier_named_falls_away_however_they_are_named(refreshed):
    market = ("--mineral", "Copper", "--category", "ORES")
    both = refreshed.ask("shock", "--lose", "CHL,PNG", *market)
    assert both.returncode == 0, both.stderr
    assert "IND India without CHL Chile, PNG Papua New Guinea" in both.stdout
    assert refreshed.ask("shock", "--lose", "chl", "--lose", "PNG", *market).stdout == (both.stdout)


@pytest.mark.parametrize(
    "arguments",
    [("portfolio",), ("portfolio", "--mineral", "Copper"), ("shock", "--lose=CHN"),
     ("snapshots", "list"), ("releases", "list"), ("settings",)],
)  # fmt: skip
def test_a_narrow_terminal_shows_the_same_words(refreshed, arguments):
    """Wrapped, not cut; only paths are broken within a word."""
    narrow, wide = (refreshed.ask(*arguments, COLUMNS=columns).stdout for columns in ("80", "400"))
    assert "…" not in narrow
    words = [re.findall(r"[\w.,%+-]+", re.sub(r"\S*/\S*", "", text)) for text in (narrow, wide)]
    assert Counter(words[1]) - Counter(words[0]) == Counter()


def test_status_names_release_and_sources(refreshed):
    done = refreshed.ask("status")
    assert done.returncode == 0
    for words in (refreshed.release_id(), "bilateral_trade", "1,264,888", "CEPII"):
        assert words in done.stdout
