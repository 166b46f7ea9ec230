"""What a person asks for, found among what a release holds; the words when it is not there.

Belongs here: looking up minerals, categories, sources of coefficients, importers and the warehouse
folder itself, for every command in the same way. What is shown of them belongs to the views.
"""

import csv
import re
from collections.abc import Collection
from pathlib import Path

from minerals.errors import ReleaseError
from minerals.names import CATEGORIES, COEFFICIENT_SOURCES
from minerals.settings import Settings


def known_mineral(asked: str, minerals: Collection[str]) -> str:
    """The mineral as the release spells it. Raises ReleaseError with those it has."""
    known = {name.lower(): name for name in minerals}
    if asked.lower() not in known:
        names = "; ".join(sorted(minerals))
        raise ReleaseError(f"'{asked}' is not in the release; it has: {names}.")
    return known[asked.lower()]


def known_category(asked: str) -> str:
    """The category, in any case. Raises ReleaseError with the three there are."""
    if asked.lower() not in CATEGORIES:
        raise ReleaseError(f"'{asked}' is not a category; choose {', '.join(CATEGORIES)}.")
    return asked.lower()


def known_source(asked: str) -> str:
    """The source of coefficients, in any case. Raises ReleaseError with the two there are."""
    if asked.lower() not in COEFFICIENT_SOURCES:
        raise ReleaseError(
            f"'{asked}' is no source of coefficients; choose {' or '.join(COEFFICIENT_SOURCES)}."
        )
    return asked.lower()


def known_importer(asked: str | None, settings: Settings, held: Collection[str]) -> str:
    """The importer's ISO3 code, by default the first one set.

    Raises ReleaseError with those of the release, and how to get the one that was asked for.
    """
    code = (asked or settings.importers[0]).strip().upper()
    if code in held:
        return code
    holds = f"The release holds {', '.join(sorted(held))}."
    countries = _countries(settings.seeds_dir / "countries.csv")
    if code in countries.values():
        raise ReleaseError(
            f"{code} is not in the release. {holds} "
            f"Refresh with MINERALS_IMPORTERS={','.join([*sorted(held), code])}."
        )
    meant = countries.get(code)
    hint = f": write {meant}" if meant else ", such as IND or JPN"
    if re.fullmatch("[A-Z]{3}", code):
        raise ReleaseError(f"{code} is no country that the project knows. {holds}")
    raise ReleaseError(f"'{asked}' is not an ISO3 code of a country{hint}. {holds}")


def why_nothing(warehouse: Path) -> str:
    """Why a warehouse folder holds nothing of what was asked for, and what to do."""
    if warehouse.is_dir():
        return f"{warehouse} holds none yet: run `make refresh` first."
    state = "is a file, not a folder" if warehouse.exists() else "does not exist"
    return f"{warehouse} {state}: is MINERALS_WAREHOUSE_DIR right? If so, run `make refresh` first."


def _countries(seed: Path) -> dict[str, str]:
    """ISO3 code of each country by its name in capitals; empty when the seed cannot be read."""
    try:
        with seed.open(encoding="utf-8", newline="") as file:
            return {row["name"].upper(): row["iso3"] for row in csv.DictReader(file)}
    except (OSError, KeyError):
        return {}
