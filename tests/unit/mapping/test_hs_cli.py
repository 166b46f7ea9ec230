"""`minerals hs check` as it is called: exit codes, the words, and what it must not import."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from minerals.errors import MineralsError
from minerals.settings import PROJECT_ROOT, Settings
from orchestration import hs_cli


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("hs_mineral_map.csv", "hs_out_of_scope.csv"):
        shutil.copy(hs_cli.SEEDS_DIR / name, tmp_path)
    return tmp_path


def check(folder: Path, *options: str) -> Result:
    settings = Settings(warehouse_dir=folder / "warehouse", hs_reference_dir=folder)
    app = typer.Typer()
    app.add_typer(hs_cli.build(lambda: settings), name="hs")
    return CliRunner().invoke(app, ["hs", "check", "--seeds", str(folder), *options])


def test_sound_seeds_pass_and_their_coverage_is_shown(folder):
    done = check(folder)
    assert done.exit_code == 0, done.output
    assert "no errors, no warnings" in done.output
    assert "No trade values: there is no trade snapshot" in done.output
    assert "H6: codes and texts are not checked against a list" in done.output
    assert "comtradeapi.un.org/files/v1/app/reference/H6.json" in done.output


def test_a_fault_is_named_with_file_line_and_cure_and_ends_with_1(folder):
    file = folder / "hs_mineral_map.csv"
    lines = file.read_text().splitlines()
    lines[6] = lines[6].replace(",Copper,", ",Coppr,")
    file.write_text("\n".join(lines) + "\n")
    done = check(folder, "--problems-only")
    assert done.exit_code == 1
    assert f"error {file}:7 mineral: there is no mineral 'Coppr'" in done.output
    assert "-> write Copper" in done.output
    assert "1 error, no warnings" in done.output
    assert "Codes of each mineral" not in done.output


def test_a_folder_that_is_not_there_is_said(folder):
    done = check(folder, "--seeds", "nowhere")
    assert isinstance(done.exception, MineralsError)
    assert "nowhere" in str(done.exception)


def test_the_check_loads_no_heavy_package():
    """Each of them costs more than the whole check."""
    heavy = {"pandas", "dagster", "dbt", "statsmodels"}
    code = f"import sys, orchestration.cli; sys.exit(str({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == "set()"
