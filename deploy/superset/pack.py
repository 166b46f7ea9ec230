"""Writes minerals_dashboard.zip for `superset import-dashboards`, with the path of your warehouse.

    python3 deploy/superset/pack.py /full/path/to/warehouse

The path is where Superset sees the warehouse. Needs nothing but Python.
"""

import sys
import zipfile
from pathlib import Path

PLACEHOLDER = "/srv/minerals"
FOLDER = Path(__file__).parent


def pack(warehouse: str, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for file in sorted(FOLDER.rglob("*.yaml")):
            text = file.read_text(encoding="utf-8")
            if file.parent.name == "databases":
                text = text.replace(PLACEHOLDER, warehouse.rstrip("/"))
            bundle.writestr(f"minerals/{file.relative_to(FOLDER).as_posix()}", text)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].startswith("/"):
        sys.exit("Give one argument: the full path of the warehouse, as Superset sees it.")
    pack(sys.argv[1], Path("minerals_dashboard.zip"))
