"""`minerals hs check` as a user calls it: exit codes, messages, and what it must not import."""

import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from minerals.settings import PROJECT_ROOT, Settings
from orchestration.cli import app


def _is_committed() -> bool:
    """Whether git knows the seed here: not in an archive of the project, nor as another user."""
    git = ["git", "cat-file", "-e", "HEAD:dbt_project/seeds/hs_mineral_map.csv"]
    with suppress(FileNotFoundError):
        return not subprocess.run(
            git, cwd=PROJECT_ROOT, capture_output=True, check=False
        ).returncode
    return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("hs_mineral_map.csv", "hs_out_of_scope.csv"):
        shutil.copy(Settings().seeds_dir / name, tmp_path)
    return tmp_path


def check(folder: Path, *options: str) -> Result:
    variables = {
        "MINERALS_WAREHOUSE_DIR": str(folder / "warehouse"),
        "MINERALS_HS_REFERENCE_DIR": str(folder),
        "COLUMNS": "80",
    }
    arguments = ["hs", "check", "--seeds", str(folder), *options]
    return CliRunner().invoke(app, arguments, env=variables)


def test_sound_seeds_pass_and_their_coverage_is_shown(folder):
    done = check(folder)
    assert done.exit_code == 0, done.output
    assert "no errors, no warnings" in done.output
    assert "No trade values: there is no trade snapshot" in done.output
    assert "H6: codes and texts are not checked against a list" in done.output
    assert "comtradeapi.un.org/files/v1/app/reference/H6.json" in done.output


def test_a_fault_is_named_with_file_line_and_cure_and_the_exit_code_is_1(folder):
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


def edit(folder: Path, name: str, old: str, new: str) -> None:
    file = folder / name
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


@pytest.mark.skipif(not _is_committed(), reason="git does not know the last commit here")
def test_manganese_ore_mapped_to_copper_warns_with_our_own_reason(folder):
    row = "H{},260200,Manganese ore,Manganese; not among the 37\n"
    for revision in "0456":
        edit(folder, "hs_out_of_scope.csv", row.format(revision), "")
    with (folder / "hs_mineral_map.csv").open("a") as file:
        file.writelines(f"H{r},260200,Copper,ores,false,,Copper ore\n" for r in "0456")
    done = check(folder, "--problems-only")
    assert done.exit_code == 0
    reason = "260200 was out of scope (Manganese ore: Manganese; not among the 37)"
    assert done.output.count(f"{reason} in the last commit, and is Copper now") == 4


def test_a_change_of_hs92_alone_warns_and_says_that_the_results_rest_on_it(folder):
    edit(folder, "hs_mineral_map.csv", "H0,260300,Copper,", "H0,260300,Nickel,")
    done = check(folder, "--problems-only")
    assert done.exit_code == 0 and "no errors, 1 warning" in done.output
    assert (
        "hs_code: 260300 is Nickel ores in H0, but Copper ores in H4, H5, H6; the trade of the "
        "bundle is in H0"
    ) in done.output


def test_a_missing_folder_is_named(folder):
    done = check(folder, "--seeds", "nowhere")
    assert done.exit_code == 1
    assert "There is no folder nowhere" in done.stderr


def test_the_check_loads_no_heavy_package():
    """Each of them costs more than the whole check."""
    heavy = {"pandas", "dagster", "dbt", "statsmodels"}
    code = f"import sys, orchestration.cli; sys.exit(str({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == "set()"
