"""What a deployment may choose, and the words it gets when it chooses wrongly."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from minerals.errors import SettingsError
from minerals.settings import PROJECT_ROOT, Settings, child_environment, read_settings

SERVICE = (PROJECT_ROOT / "deploy" / "minerals.env.example").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the shell that runs the tests reaches the settings."""
    for name in os.environ:
        if name.startswith("MINERALS_") or name == "COMTRADE_API_KEY":
            monkeypatch.delenv(name)


def refusal(read: Callable[[], Settings] = Settings) -> str:
    """The message of the settings' refusal. The error itself is let go: it holds frames that the
    garbage collector cannot see, and DuckDB would report them as leaks at the end of the tests."""
    try:
        read()
    except (ValidationError, SettingsError) as error:
        return str(error)
    raise AssertionError("the settings were accepted")


def test_the_page_on_operations_names_every_setting():
    page = (PROJECT_ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}
    fields = Settings.model_fields.keys() - {"comtrade_api_key"}
    assert named == {f"MINERALS_{field.upper()}" for field in fields} | {"COMTRADE_API_KEY"}


def test_a_warehouse_that_is_a_file_is_refused(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINERALS_WAREHOUSE_DIR", str(tmp_path / "file"))
    assert "is a file: name a folder" in refusal()


@pytest.mark.parametrize("name", ["a#b", "a?b", "a\\b", "a{{ b }}", "a\nb"])
def test_a_warehouse_path_that_would_write_elsewhere_is_refused(monkeypatch, tmp_path, name):
    monkeypatch.setenv("MINERALS_WAREHOUSE_DIR", str(tmp_path / name / "warehouse"))
    assert "name a folder without # ? \\ { }" in refusal(read_settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["two words", "o'brien", "निकल 日本", "a%23b", 'a;b&c$HOME"[d]*:'])
def test_a_warehouse_path_with_other_signs_is_taken(monkeypatch, tmp_path, name):
    monkeypatch.setenv("MINERALS_WAREHOUSE_DIR", str(tmp_path / name))
    assert read_settings().warehouse_dir == tmp_path.resolve() / name


def test_defaults_are_the_open_bundle_and_india_over_five_years():
    settings = Settings()
    assert settings.profile == "bundled"
    assert Settings.model_fields["importers"].default == ("IND",)
    assert settings.years == (2019, 2020, 2021, 2022, 2023)
    assert settings.top_k == 10
    assert settings.warehouse_dir == PROJECT_ROOT / "warehouse"
    assert (settings.figures_dir / "country_indicators.csv").exists()


def test_kept_importers_stand_in_for_the_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("MINERALS_WAREHOUSE_DIR", str(tmp_path))
    assert read_settings().importers == ("IND",)
    file = Settings().importers_file
    file.parent.mkdir()
    file.write_text("JPN\nIND\n")
    assert read_settings().importers == ("JPN", "IND")
    assert Settings(importers="DEU").importers == ("DEU",)
    monkeypatch.setenv("MINERALS_IMPORTERS", "BRA")
    assert read_settings().importers == ("BRA",)
    monkeypatch.delenv("MINERALS_IMPORTERS")
    file.write_text("Japan\n")
    assert f"{file}: JAPAN: a country is an ISO 3166 alpha-3 code" in refusal(read_settings)
    file.write_text("JPN\nXXQ\n")
    assert f"{file}: XXQ must be the ISO3 code" in refusal(read_settings)
    file.write_bytes(b"\xffJPN\n")
    assert f"{file} is not UTF-8 text" in refusal(read_settings)


@pytest.mark.parametrize(
    ("given", "importers"),
    [
        ("IND", ("IND",)),
        ("ind,jpn", ("IND", "JPN")),
        (" JPN , IND ", ("JPN", "IND")),  # the order is the user's: the first one is shown first
        ("IND JPN\tKOR", ("IND", "JPN", "KOR")),
        ("IND,JPN,IND,", ("IND", "JPN")),
    ],
)
def test_importers_are_split_upper_cased_and_named_once(monkeypatch, given, importers):
    monkeypatch.setenv("MINERALS_IMPORTERS", given)
    assert Settings().importers == importers


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("MINERALS_IMPORTERS", "INDIA", ["INDIA", "alpha-3", "IND"]),
        ("MINERALS_IMPORTERS", "IND,699", ["699", "alpha-3"]),
        ("MINERALS_IMPORTERS", " ", ["at least one importer", "IND"]),
        ("MINERALS_PROFILE", "offline", ["profile", "bundled", "live"]),
        ("MINERALS_FIRST_YEAR", "2024", ["last_year 2023 is before first_year 2024"]),
        ("MINERALS_FIRST_YEAR", "1990", ["first_year", "1995"]),
        ("MINERALS_TOP_K", "0", ["top_k", "greater than or equal to 1"]),
        ("MINERALS_TOP_K", "ten", ["top_k", "valid integer"]),
        ("MINERALS_RELEASES_TO_KEEP", "0", ["releases_to_keep"]),
    ],
)
def test_a_wrong_value_is_refused_with_the_field_and_what_is_allowed(
    monkeypatch, variable, value, words
):
    monkeypatch.setenv(variable, value)
    message = refusal()
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("MINERALS_SEED", "-5", "MINERALS_SEED=-5: must be a whole number, at least 0, at most"),
        ("MINERALS_CONCENTRATION_PENALTY", "inf", "=inf: must be a number, at least 0, at most"),
        ("MINERALS_RISK_PENALTY", "nan", "MINERALS_RISK_PENALTY=nan: must be a number"),
        ("MINERALS_COMTRADE_SECONDS_BETWEEN_CALLS", "inf", "=inf: must be a number"),
        ("MINERALS_CONCENTRATED_ABOVE", "0", "=0: must be a number, above 0, at most 1"),
        ("MINERALS_TOP_K", "ten", "MINERALS_TOP_K=ten: must be a whole number, at least 1"),
        ("MINERALS_FORWARD_YEARS", "0", "=0: must be a whole number, at least 1"),
        ("MINERALS_PROFILE", "off", "MINERALS_PROFILE=off: must be bundled or live"),
        ("MINERALS_SCHEDULES_ON", "maybe", "=maybe: must be true or false"),
        ("MINERALS_IMPORTERS", "IND,XXX", "=IND,XXX: XXX must be the ISO3 code of a country of"),
        ("MINERALS_EXCLUDED_SUPPLIERS", "RUZ", "RUZ must be the ISO3 code of a country"),
        ("minerals_importers", "XXX", "MINERALS_IMPORTERS=XXX: XXX must be the ISO3 code"),
        ("MINERALS_FIRST_YEAR", "2024", "FIRST_YEAR, MINERALS_LAST_YEAR: last_year 2023 is before"),
        ("MINERALS_DAGSTER_CONFIG", "/no/such.yaml", "there is no file /no/such.yaml"),
        ("MINERALS_COMTRADE_FILE", "/no/such.csv", "there is no file /no/such.csv"),
        ("MINERALS_FIGURES_DIR", "/no/such", "there is no folder /no/such"),
        ("MINERALS_DBT_PROJECT_DIR", "/no/such", "there is no folder /no/such"),
        ("MINERALS_DUCKDB_MEMORY", "lots", "=lots: this is no amount of memory such as"),
        ("MINERALS_BUNDLE_HASH", "e2", "=e2: this is no SHA-256 in hexadecimal"),
        ("MINERALS_ENGINE", "flink", "=flink: must be duckdb or spark"),
        ("MINERALS_SPARK_REMOTE", "spark:7077", "this is no address of a Spark Connect server"),
        ("MINERALS_SPARK_REMOTE", "sc://h/;token=x", "REMOTE: a token belongs into SPARK_CONNECT"),
        ("MINERALS_TOPK", "3", "TOPK: there is no such setting; did you mean MINERALS_TOP_K?"),
        ("MINERALS_XYZ", "3", "XYZ: there is no such setting; `minerals settings` lists all"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_told_with_its_value_and_what_is_allowed(
    monkeypatch, variable, value, line
):
    monkeypatch.setenv(variable, value)
    message = refusal(read_settings)
    assert len(message.splitlines()) == 2
    assert line in message


def test_all_that_is_wrong_is_told_at_once_and_no_secret(monkeypatch):
    wrong = {
        "MINERALS_SEED": "-5", "MINERALS_IMPORTERS": "XXX", "MINERALS_TOPK": "3",
        "COMTRADE_API_KEY": "not for logs", "MINERALS_ALERT_WEBHOOK_URL": "not-for-logs",
        "MINERALS_COMTRADE_URL": "ftp://user:not-for-logs@example.org",
    }  # fmt: skip
    for variable, value in wrong.items():
        monkeypatch.setenv(variable, value)
    message = refusal(read_settings)
    assert len(message.splitlines()) == 1 + len(wrong)
    assert all(variable in message for variable in wrong)
    assert "logs" not in message


def test_the_variables_of_the_programs_beside_are_known(monkeypatch):
    for name in re.findall(r"^(MINERALS_\w+)=(.*)", SERVICE, flags=re.MULTILINE):
        monkeypatch.setenv(name[0], name[1].replace("/opt/minerals", str(PROJECT_ROOT)))
    assert read_settings().dagster_config.name == "dagster-postgres.yaml"


def test_every_path_lies_under_the_warehouse_folder_and_is_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINERALS_WAREHOUSE_DIR", "data")
    settings = Settings()
    paths = [
        settings.raw_dir, settings.downloads_dir, settings.releases_dir, settings.database,
        settings.serving_database, settings.dagster_home, settings.log_dir,
    ]  # fmt: skip
    assert {path.parent for path in paths} == {tmp_path.resolve() / "data"}
    assert len(set(paths)) == len(paths)


def test_a_home_folder_is_understood(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Settings(warehouse_dir=Path("~/wh")).warehouse_dir == tmp_path.resolve() / "wh"


@pytest.mark.parametrize("variable", ["COMTRADE_API_KEY", "MINERALS_COMTRADE_API_KEY"])
def test_the_key_is_read_and_never_shown(monkeypatch, variable):
    monkeypatch.setenv(variable, "not-for-logs")
    settings = Settings()
    assert settings.comtrade_api_key is not None
    assert settings.comtrade_api_key.get_secret_value() == "not-for-logs"
    shown = f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
    assert "not-for-logs" not in shown


@pytest.mark.parametrize("given", ["", "  "])
def test_an_empty_key_is_none(monkeypatch, given):
    monkeypatch.setenv("COMTRADE_API_KEY", given)
    assert Settings().comtrade_api_key is None


def test_a_key_is_taken_without_the_line_end_and_a_broken_one_is_refused_unseen(monkeypatch):
    monkeypatch.setenv("COMTRADE_API_KEY", "not-for-logs\n")
    assert Settings().comtrade_api_key.get_secret_value() == "not-for-logs"
    monkeypatch.setenv("COMTRADE_API_KEY", "not for\nlogs")
    message = refusal()
    assert "copy it again" in message
    assert "logs" not in message


@pytest.mark.parametrize(
    "address", ["comtradeapi.un.org", "ftp://example.org", "https://u:p@example.org",
                "https://example.org/?subscription-key=not-for-logs"],
)  # fmt: skip
def test_an_address_is_one_and_holds_no_secret(monkeypatch, address):
    monkeypatch.setenv("MINERALS_COMTRADE_URL", address)
    message = refusal()
    assert "address" in message
    assert "not-for-logs" not in message


def test_the_webhook_is_an_address_that_nobody_sees(monkeypatch):
    monkeypatch.setenv("MINERALS_ALERT_WEBHOOK_URL", " https://example.org/hook/not-for-logs\n")
    settings = Settings()
    assert settings.alert_webhook_url.get_secret_value() == "https://example.org/hook/not-for-logs"
    assert "not-for-logs" not in f"{settings} {settings!r} {settings.model_dump_json()}"
    monkeypatch.setenv("MINERALS_ALERT_WEBHOOK_URL", "example.org:port/not-for-logs")
    message = refusal()
    assert "no address" in message
    assert "not-for-logs" not in message
    monkeypatch.setenv("MINERALS_ALERT_WEBHOOK_URL", "")
    assert Settings().alert_webhook_url is None


def test_settings_do_not_change_once_made():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().top_k = 3


def test_dbt_is_told_the_window_and_the_importers():
    settings = Settings(importers="IND,JPN", first_year=2020, last_year=2021)
    assert settings.dbt_vars == {
        "profile": "bundled",
        "importers": ["IND", "JPN"],
        "first_year": 2020,
        "last_year": 2021,
        "other_asia_is_taiwan": True,
        "estimate_missing_quantities": False,
        "as_of": None,
    }


def test_a_child_process_finds_the_same_instance_and_warehouse(monkeypatch, tmp_path):
    monkeypatch.setenv("MINERALS_IMPORTERS", "JPN")
    environment = child_environment(Settings(warehouse_dir=tmp_path))
    assert environment["DAGSTER_HOME"] == str(tmp_path / "dagster")
    assert environment["MINERALS_WAREHOUSE_DIR"] == str(tmp_path)
    assert environment["MINERALS_WAREHOUSE_DB"] == str(tmp_path / "warehouse.duckdb")
    assert environment["MINERALS_IMPORTERS"] == "JPN"
    assert environment["PATH"] == os.environ["PATH"]


def test_all_importers_stand_alone(monkeypatch):
    monkeypatch.setenv("MINERALS_IMPORTERS", "all")
    assert read_settings().importers == ("ALL",)
    monkeypatch.setenv("MINERALS_IMPORTERS", "IND,all")
    with pytest.raises(SettingsError, match="'all' already holds every importer"):
        read_settings()
