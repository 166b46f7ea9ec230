"""`minerals hs` on the refreshed warehouse: a moved code lists the suppliers that it moves, and
nothing is published."""

import hashlib
import re
import signal
import time
from pathlib import Path

import pytest

from minerals.settings import PROJECT_ROOT
from orchestration.recovery import remove_scratch
from tests.integration.conftest import TestWarehouse, kill_group

SEEDS = PROJECT_ROOT / "dbt_project" / "seeds"


@pytest.fixture(scope="module")
def refreshed(mini: TestWarehouse) -> TestWarehouse:
    """Of the small bundle, in which Platinum and Niobium are: previews are refreshes."""
    return mini


@pytest.fixture
def without_gauze(tmp_path: Path) -> Path:
    """The seeds with 711510, platinum gauze, out of scope instead of in Platinum products."""
    lines = (SEEDS / "hs_mineral_map.csv").read_text().splitlines()
    kept = [line for line in lines if ",711510," not in line]
    assert len(lines) - len(kept) == 4
    (tmp_path / "hs_mineral_map.csv").write_text("\n".join(kept) + "\n")
    moved = [
        f"{revision},711510,Platinum gauze,An article\n" for revision in ("H0", "H4", "H5", "H6")
    ]
    outside = (SEEDS / "hs_out_of_scope.csv").read_text()
    (tmp_path / "hs_out_of_scope.csv").write_text(outside + "".join(moved))
    return tmp_path


def published(warehouse: TestWarehouse) -> dict[str, str]:
    """The hash of every file that a preview must not touch."""
    settings = warehouse.settings
    files = [settings.database, settings.serving_database]
    files += [file for file in settings.releases_dir.rglob("*") if file.is_file()]
    files += [file for file in settings.raw_dir.rglob("*") if file.is_file()]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_check_adds_up_the_trade_of_the_snapshot(refreshed):
    done = refreshed.ask("hs", "check", "--importer", "JPN")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "imports of JPN in 2019-2023" in done.stdout
    value = refreshed.query(
        "select sum(value_usd) / 1e6 from conformed.int_trade_flow__classified "
        "where importer_iso3 = 'JPN' and year between 2019 and 2023 and mineral = 'Niobium'"
    )[0][0]
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("Niobium  ")]
    assert f"{value:,.1f}" in row.split()


def test_the_product_table_of_the_trade_data_stands_in_for_the_lists(refreshed, tmp_path):
    done = refreshed.ask("hs", "check", MINERALS_HS_REFERENCE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no errors, no warnings" in done.stdout
    assert "H0: 521 codes checked against the product table of the trade data" in done.stdout


def test_a_moved_code_lists_the_suppliers_that_move_and_publishes_nothing(refreshed, without_gauze):
    before = published(refreshed)
    done = refreshed.command("hs", "preview", "--seeds", str(without_gauze), "--all")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [re.split("  +", line.strip()) for line in done.stdout.splitlines()]
    assert ["H0", "711510", "Platinum products", "out of scope"] in lines
    moves = [line for line in lines if line[0] == "IND products Platinum"]
    left = {line[2][:3] for line in moves if line[-1] == "leaves"}
    counts = next(line for line in moves if "→" in line[2])[2].split(" → ")
    assert left and int(counts[0]) - int(counts[1]) == len(left)
    only_gauze = refreshed.query(
        "select exporter_iso3 from conformed.fct_trade_flow where mineral = 'Platinum' "
        "and category = 'products' and year between 2019 and 2023 and importer_iso3 <> 'IND' "
        "group by all having bool_and(hs_code = '711510') and sum(value_usd) > 0"
    )
    assert left == {exporter for (exporter,) in only_gauze} - {"IND"}
    assert "imports: supplier-years with imports" in done.stdout
    assert "note" not in done.stdout
    assert "Nothing was published" in done.stdout
    assert published(refreshed) == before


def test_unchanged_seeds_are_not_computed_and_neither_are_faulty_ones(refreshed, without_gauze):
    done = refreshed.ask("hs", "preview")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Nothing changes: release {refreshed.release_id()}" in done.stdout
    file = without_gauze / "hs_mineral_map.csv"
    file.write_text(file.read_text().replace(",Lithium,", ",Litium,", 1))
    done = refreshed.ask("hs", "preview", "--seeds", str(without_gauze))
    assert done.returncode == 1
    assert "write Lithium" in done.stdout
    assert "No preview" in done.stdout


def test_an_interrupted_preview_leaves_no_scratch_warehouse_behind(own, without_gauze):
    """Told to end, it cleans up; after kill -9 the next start does, and spares one in use."""
    folder = own.settings.warehouse_dir
    for is_killed in (False, True):
        process = own.start("hs", "preview", "--seeds", str(without_gauze))
        deadline = time.monotonic() + 400
        while not list(folder.glob(".scratch-*/warehouse.duckdb")):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.1)
        remove_scratch(folder)
        assert len(list(folder.glob(".scratch-*"))) == 1
        if is_killed:
            kill_group(process)
        else:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        assert len(list(folder.glob(".scratch-*"))) == is_killed
    remove_scratch(folder)
    assert list(folder.glob(".scratch-*")) == []
