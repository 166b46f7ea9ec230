"""A country as a person writes it: by its ISO code or by a name, in any case.

The codes and names are those of the seeds `countries.csv` and `country_aliases.csv`.
"""

import csv
import re
import unicodedata
from functools import cache
from pathlib import Path

from minerals.settings import country_names


def plain(text: str) -> str:
    """The words of a name in small letters, without accents and signs: "Cote d'Ivoire" and
    'COTE-D-IVOIRE' are both 'cote d ivoire'."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    without = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return " ".join(re.findall(r"\w+", without.replace("_", " ")))


def find_country(word: str, seeds_dir: Path) -> str | None:
    """The ISO3 code of the country that `word` names; None when it names none."""
    return _spellings(seeds_dir).get(plain(word))


@cache
def _spellings(seeds_dir: Path) -> dict[str, str]:
    """ISO3 by plain spelling: codes of three and two letters, our names, those of the sources."""
    found = {plain(name): iso3 for iso3, name in country_names(seeds_dir).items()}
    found |= {iso3.lower(): iso3 for iso3 in country_names(seeds_dir)}
    try:
        with (seeds_dir / "country_aliases.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["code_system"] == "iso2" or row["code_system"].endswith("_name"):
                    found.setdefault(plain(row["code"]), row["iso3"])
    except (OSError, KeyError, ValueError):
        pass  # the names and codes of countries.csv remain; `minerals refresh` names the fault
    return found
