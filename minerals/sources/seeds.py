"""The parts of the dbt seeds that a client needs before it can ask: codes and names to know; and
the registers of this package."""

import csv
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from minerals.errors import SourceError
from minerals.files import read_yaml
from minerals.sources.csv_files import checked_csv

READ_AS = {"H3": "H4"}
"""Revisions that are read as another: HS 2007 has every mapped line of HS 2012 under the same
number, and no mapped line of HS 1992 that HS 2012 lacks (the UN's tables of each to BEC). The
staging models read them so, too."""


def check_seeds(seeds_dir: Path) -> None:
    """Raise SourceError with what is wrong with the files of the seeds, one line per file: not
    UTF-8, empty, a row with too many or too few values, a column missing. dbt checks the values."""
    wrong, declared = [], _declared_columns(seeds_dir)
    for file in sorted(seeds_dir.glob("*.csv")):
        remedy = f"restore it: git checkout -- {file.name}"
        try:
            header, _, _ = checked_csv(file, remedy).decode("utf-8-sig").partition("\n")
        except SourceError as error:
            wrong.append(str(error))
            continue
        names = next(csv.reader([header]))
        if missing := [name for name in declared.get(file.stem, ()) if name not in names]:
            wrong.append(f"{file.name}, row 1: column {', '.join(missing)} is missing; {remedy}.")
    if wrong:
        raise SourceError(f"A seed in {seeds_dir} is damaged:\n  " + "\n  ".join(wrong))


def _declared_columns(seeds_dir: Path) -> dict[str, list[str]]:
    """The columns of each seed that the YAML files beside them describe."""
    files = [read_yaml(file) for file in sorted(seeds_dir.glob("*.yml"))]
    return {
        seed["name"]: [column["name"] for column in seed["columns"]]
        for file in files
        for seed in file["seeds"]
    }


def hs_codes(seeds_dir: Path) -> Mapping[str, tuple[str, ...]]:
    """The mapped six-digit codes of each HS revision, sorted: {'H5': ('250410', ...)}; those of a
    revision that is `READ_AS` another are the other's."""
    codes = defaultdict(set)
    for row in _rows(seeds_dir / "hs_mineral_map.csv", ("hs_revision", "hs_code")):
        codes[row["hs_revision"]].add(row["hs_code"])
    codes |= {revision: codes[other] for revision, other in READ_AS.items() if other in codes}
    return {revision: tuple(sorted(found)) for revision, found in sorted(codes.items())}


def aliases(seeds_dir: Path, code_system: str) -> Mapping[str, str]:
    """Codes or names of one source to ISO3, those that mean a country: {'ROM': 'ROU'}."""
    rows = _rows(seeds_dir / "country_aliases.csv", ("code_system", "code", "iso3"))
    return {row["code"]: row["iso3"] for row in rows if row["code_system"] == code_system}


def names(seeds_dir: Path, code_system: str) -> set[str]:
    """Every code or name of one source that is known, of countries or not."""
    others = _rows(seeds_dir / "non_country_partners.csv", ("code_system", "code"))
    known = {row["code"] for row in others if row["code_system"] == code_system}
    return known | set(aliases(seeds_dir, code_system))


def iso3_codes(seeds_dir: Path) -> set[str]:
    """The ISO3 codes of all countries."""
    return {row["iso3"] for row in _rows(seeds_dir / "countries.csv", ("iso3",))}


def usgs_tables(seeds_dir: Path) -> list[dict[str, str]]:
    """The tables of the USGS Mineral Commodity Summaries that are read."""
    columns = ("table_id", "edition", "commodity", "statistic", "unit")
    return _rows(seeds_dir / "usgs_tables.csv", columns)


def partner_codes(seeds_dir: Path) -> tuple[str, ...]:
    """Every partner code of UN Comtrade that is known, countries or not, World (0) among them."""
    return tuple(sorted(names(seeds_dir, "comtrade"), key=int))


def reporter_codes(seeds_dir: Path) -> list[str]:
    """The numbers under which countries report to UN Comtrade now, of those that have just one."""
    codes: dict[str, list[str]] = defaultdict(list)
    for row in _rows(seeds_dir / "country_aliases.csv", ("code_system", "iso3", "valid_until")):
        if row["code_system"] == "comtrade" and row["iso3"] and not row["valid_until"]:
            codes[row["iso3"]].append(row["code"])
    return [found[0] for _, found in sorted(codes.items()) if len(found) == 1]


def reporter_code(seeds_dir: Path, iso3: str) -> str:
    """The number under which a country reports to UN Comtrade now (India is 699, not 356).

    Raises SourceError unless exactly one code of the country has an empty valid_until.
    """
    rows = _rows(seeds_dir / "country_aliases.csv", ("code_system", "code", "iso3", "valid_until"))
    found = [r for r in rows if r["code_system"] == "comtrade" and r["iso3"] == iso3]
    in_use = [r["code"] for r in found if not r["valid_until"]]
    if len(in_use) != 1:
        raise SourceError(
            f"{iso3} has {len(in_use)} UN Comtrade codes in use in country_aliases.csv "
            f"(all its codes: {', '.join(r['code'] for r in found) or 'none'}), so its imports "
            "cannot be requested. Correct MINERALS_IMPORTERS, or valid_until in that seed."
        )
    return in_use[0]


def register(name: str) -> list[dict[str, str]]:
    """The rows of `registers/<name>.csv`, beside this module."""
    return _rows(Path(__file__).parent / "registers" / f"{name}.csv", ())


def _rows(file: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    if not file.is_file():
        raise SourceError(
            f"The seed {file} is missing: restore it, or set MINERALS_DBT_PROJECT_DIR."
        )
    with file.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        missing = [c for c in columns if c not in (reader.fieldnames or ())]
        if missing:
            raise SourceError(f"The seed {file} has no column {', '.join(missing)}: restore it.")
        return list(reader)
