"""The parts of the command line that need no release, and what it says when there is none."""

import io
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from minerals.errors import ReleaseError, SourceError
from minerals.settings import Settings
from orchestration.cli import app, common, names, refresh
from orchestration.cli.query import file_format
from orchestration.cli.snapshots import read_years


def run(warehouse: Path, *arguments: str, **variables: str) -> Result:
    environment = {"MINERALS_WAREHOUSE_DIR": str(warehouse), "COLUMNS": "80", **variables}
    return CliRunner().invoke(app, arguments, env=environment)


def refusal(done: Result) -> str:
    assert done.exit_code == 1, done.output
    return done.stderr


def table(columns: list[str], rows: list[list[object]], width: int) -> list[str]:
    output = io.StringIO()
    console = Console(file=output, width=width, soft_wrap=True)
    common.show_table(console, columns, rows)
    return [line.rstrip() for line in output.getvalue().splitlines()]


def test_figures_are_aligned_to_the_right_and_values_are_no_markup():
    rows = [["[red]x[/y]", 2 / 3, 1234567.891, None], ["b", 10.0, 1.0, "1,000"]]
    assert table(["words", "share", "kg", "n"], rows, 80) == [
        "words          share       kg      n",
        "[red]x[/y]  0.666667  1234568",
        "b                 10        1  1,000",
    ]


def test_a_narrow_table_wraps_between_words_and_breaks_only_paths():
    name, path = "MINERALS_BOOTSTRAP_REPLICATIONS", "/a/very/long/path/that/does/not/fit"
    rows = [[name, path, "samples of exporters behind rank intervals of estimated models"]]
    lines = table(["variable", "value", "meaning"], rows, 60)
    assert max(map(len, lines)) <= 60
    assert lines[1].startswith(f"{name}  /a/very/long")
    text = " ".join(" ".join(line.split()) for line in lines)
    for word in ("samples", "exporters", "intervals", "estimated"):
        assert word in text


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("Lithum", "There is no mineral 'Lithum'. Did you mean Lithium?"),
        ("Litter", "There is no mineral 'Litter'. There are: Copper, Lithium."),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_or_all(word, words):
    assert names.known("mineral", " copper ", ["Lithium", "Copper"]) == "Copper"
    with pytest.raises(ReleaseError) as caught:
        names.known("mineral", word, ["Lithium", "Copper"])
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("bra", "BRA is not in the release. The release holds DEU, IND. "
                "`minerals importers add BRA`, then `minerals refresh` brings it."),
        (None, "JPN is not in the release. The release holds DEU, IND. `minerals refresh` brings"),
        ("Japan", "JPN is not in the release."),
        ("Jpan", "There is no country 'Jpan'. Did you mean Japan (JPN)?"),
        ("XXX", "There is no country 'XXX'. Write for example India or IND."),
    ],
)  # fmt: skip
def test_an_importer_that_is_not_there_is_answered_with_what_would_help(word, words):
    settings = Settings(importers="JPN")
    for spelled in ("deu", "DE", " germany "):
        assert names.known_importer(spelled, settings, {"IND", "DEU"}) == "DEU"
    with pytest.raises(ReleaseError) as caught:
        names.known_importer(word, settings, {"IND", "DEU"})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("texts", "codes"),
    [
        (["China"], ["CHN"]),
        (["china, RUSSIA", "chn"], ["CHN", "RUS"]),
        (["CHN RUS"], ["CHN", "RUS"]),
        (["Turkey,cote-d-ivoire"], ["TUR", "CIV"]),
        (["Korea, South"], ["KOR"]),
        (["US,United Kingdom"], ["USA", "GBR"]),
        ([" , "], []),
    ],
)
def test_countries_are_found_by_name_and_code(texts, codes):
    assert names.known_countries(texts, Settings()) == codes


@pytest.mark.parametrize(
    ("words", "market"),
    [
        (None, (None, None)),
        (["Products"], (None, "products")),
        (["rare", "earths"], ("rare earths", None)),
        (["rare", "earths", "ores"], ("rare earths", "ores")),
        (["Gallium"], ("Gallium", None)),
    ],
)
def test_a_market_is_said_in_words(words, market):
    assert names.split_market(words, ["Rare Earths"]) == market


def test_a_wrong_category_behind_a_mineral_is_told_as_such():
    with pytest.raises(ReleaseError, match="no category 'oars'"):
        names.split_market(["rare", "earths", "oars"], ["Rare Earths"])


def test_a_mineral_is_known_by_name_and_symbol_and_one_without_data_says_why():
    held = ["Lithium", "Rare Earths"]
    for spelled in ("LITHIUM", "li", "Li"):
        assert names.known_mineral(spelled, Settings(), held, "bundled") == "Lithium"
    for spelled in ("rare-earths", "Rare_Earths", "REE"):
        assert names.known_mineral(spelled, Settings(), held, "bundled") == "Rare Earths"
    with pytest.raises(ReleaseError, match="Silicon has no line in the bundle; the live profile"):
        names.known_mineral("silicon", Settings(), held, "bundled")
    with pytest.raises(ReleaseError, match="Silicon has no trade and no mine in the years"):
        names.known_mineral("silicon", Settings(), held, "live")


def complete(line: str, shell: str = "bash") -> list[str]:
    """What a shell offers behind the words typed so far."""
    words = line.split(" ")
    variables = {"_MINERALS_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line}
    variables |= {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    variables |= {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = CliRunner().invoke(app, env=variables, prog_name="minerals")
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("minerals ra", ["rank"]),
        ("minerals rank li", ["lithium"]),
        ("minerals rank Rare", ["Rare-Earths"]),
        ("minerals rank rare-earths ", ["ores", "products", "scrap"]),
        ("minerals portfolio rare earths pro", ["products"]),
        ("minerals rank tin --source e", ["expected", "estimated"]),
        ("minerals shock --lose Chi", ["Chile", "China"]),
        ("minerals shock --lose china,jap", ["china,japan"]),
        ("minerals compare --importers CHN,JP", ["CHN,JPN"]),
        ("minerals export ranking_f", ["ranking_forward", "ranking_forward_variants"]),
        ("minerals export trade_b", ["trade_balance"]),
        ("minerals export ranking_forward --category s", ["scrap"]),
        ("minerals list ", ["minerals", "countries", "marts"]),
    ],
)
def test_the_shell_completes_closed_lists(line, offered):
    assert complete(line) == offered


def test_zsh_and_fish_complete_too_and_show_names_beside_codes():
    assert complete("minerals rank lith", "fish") == ["lithium"]
    assert "JPN\tJapan" in complete("minerals rank --importer JP", "fish")
    assert complete("minerals rank lith", "zsh") == ["_arguments '*: :((\"lithium\"))'"]


def test_a_wrong_setting_completes_nothing_and_is_told_by_the_command(tmp_path):
    wrong = {"_MINERALS_COMPLETE": "complete_bash", "COMP_WORDS": "minerals rank li"}
    done = run(tmp_path, **wrong, COMP_CWORD="2", MINERALS_TOP_K="0")
    assert done.stdout.strip() == "" and done.exit_code == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(shell):
    variables = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = CliRunner().invoke(app, [], env={**variables, "_MINERALS_COMPLETE": f"source_{shell}"},
                              prog_name="minerals")  # fmt: skip
    assert "_MINERALS_COMPLETE=complete_" in done.stdout


def test_help_and_version_have_short_ways(tmp_path):
    assert run(tmp_path, "-h").stdout == run(tmp_path, "--help").stdout
    assert "--importer" in run(tmp_path, "rank", "-h").stdout
    assert (
        run(tmp_path, "--version").stdout == f"minerals {version('mineral-sourcing-warehouse')}\n"
    )
    misspelled = run(tmp_path, "portfolo")
    assert misspelled.exit_code == 2 and "portfolio" in misspelled.stderr


def test_the_replication_names_the_number_of_places_of_the_release():
    rows = [
        ("ores", "Copper", 6, 0.8, 0.9, True, 7, 0.6),
        ("ores", "Tin", 9, 0.6, 0.7, True, 9, 0.4),
        ("ores", "Indium", 5, 0.0, 0.0, False, 6, 0.8),
    ]
    columns = ["category", "mineral", "n_candidates", "overlap_share", "spearman_rho",
               "is_top1_match", "n_candidates_as_served", "overlap_share_as_served"]  # fmt: skip
    output = io.StringIO()
    scorecard = pd.DataFrame(rows, columns=columns)
    refresh._print_replication(Console(file=output, width=300), scorecard, top_k=5)
    told = output.getvalue().strip()
    assert "mean top-5 overlap 70.0%, mean Spearman 0.80, over 2 minerals; " in told
    assert told.endswith("with gaps filled in: mean overlap 60.0%, over 3")


@pytest.mark.parametrize(
    ("beginning", "found"),
    [
        ("b2", "b2f"),
        ("a1", "a1"),
        ("a", "More than one release begins with 'a': a1, a1c."),
        ("x", "There is no release that begins with 'x'; there are: a1, a1c, b2f."),
    ],
)
def test_a_name_is_found_by_its_beginning(beginning, found):
    names = ["a1", "a1c", "b2f"]
    if found in names:
        assert common.by_beginning("release", beginning, names) == found
    else:
        with pytest.raises(ReleaseError) as caught:
            common.by_beginning("release", beginning, names)
        assert str(caught.value) == found


def test_years_are_one_year_or_a_range():
    assert read_years(" 2019 ") == [2019]
    assert read_years("2019-2021") == [2019, 2020, 2021]
    for wrong in ("2021-2019", "19", "2019,2020", ""):
        with pytest.raises(SourceError, match=f"Invalid years '{wrong}'; use 2019 or 2015-2023"):
            read_years(wrong)


def test_the_ending_of_the_file_and_the_format_must_agree():
    assert file_format(None, None) == "csv"
    assert file_format(Path("a.XLSX"), None) == "xlsx"
    assert file_format(Path("a.txt"), "csv") == "csv"
    with pytest.raises(ReleaseError, match=r"does not end in \.csv or \.xlsx"):
        file_format(Path("a.txt"), None)
    with pytest.raises(ReleaseError, match="a csv file, but --format is xlsx"):
        file_format(Path("a.csv"), "xlsx")


def test_a_wrong_setting_is_named_with_its_variable(tmp_path):
    done = run(tmp_path, "settings", MINERALS_TOP_K="0", MINERALS_FIRST_YEAR="x")
    for words in ("MINERALS_TOP_K=0: must be", "MINERALS_FIRST_YEAR=x: must be a whole number"):
        assert words in refusal(done)


def test_an_unknown_job_is_answered_with_those_of_the_profile(tmp_path):
    assert "Did you mean rebuild?" in refusal(run(tmp_path, "refresh", "--job", "rebuilt"))
    wrong = run(tmp_path, "refresh", "--job", "ingest_production")
    assert "There are: rebuild, refresh." in refusal(wrong)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("releases", "verify"), ("releases", "rollback"), ("releases", "rollback", "current"),
        ("releases", "show"), ("releases", "diff"), ("snapshots", "verify"), ("contract",),
        ("query", "select 1"), ("shock", "--lose", "CHN"), ("export", "--mart", "ppml_fit"),
        ("hs", "preview"),
    ],
)  # fmt: skip
def test_a_missing_warehouse_folder_is_named_and_not_made(tmp_path, arguments):
    folder = tmp_path / "nowhere"
    words = f"{folder} does not exist: is MINERALS_WAREHOUSE_DIR right?"
    assert words in refusal(run(folder, *arguments))
    assert not folder.exists()
    folder.mkdir()
    assert f"{folder} holds none yet" in refusal(run(folder, *arguments))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", ["releases", "snapshots"])
def test_an_empty_list_says_why(tmp_path, command):
    done = run(tmp_path / "nowhere", command, "list")
    assert done.exit_code == 0
    assert "nowhere does not exist" in done.stdout


def test_status_without_a_release_fails_and_says_what_to_do(tmp_path):
    done = run(tmp_path, "status")
    assert done.exit_code == 1
    assert "run `minerals refresh`" in done.stdout
    assert "No snapshot of production is in use" in done.stdout


def test_settings_are_listed_whole_on_a_narrow_terminal(tmp_path):
    shown = run(tmp_path, "settings").stdout
    variables = [f"MINERALS_{name.upper()}" for name in Settings.model_fields]
    assert [name for name in variables if name not in shown] == ["MINERALS_COMTRADE_API_KEY"]
    assert "…" not in shown
