"""Draws docs/figures/dashboard_<page>.png from the served release: `make figures`."""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.dashboard import DRAWN, PATIENCE, served

FOLDER = Path(__file__).parent
PAGES = {
    "overview": "",
    "mineral": "mineral?mineral=Copper",
    "imports": "imports?mineral=Lithium&category=products",
    "world_supply": "world_supply?mineral=Copper",
    "explore": "explore?indicator=fdi&year=2023",
    "ranking": "ranking?mineral=Lithium&category=products",
    "portfolio": "portfolio?mineral=Lithium&category=products",
}


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("The pictures of the dashboard need chromium, which is not on this machine.")
    with served() as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 760})
        for name, place in PAGES.items():
            page.goto(f"{address}/{place}", timeout=PATIENCE)
            page.wait_for_function(DRAWN, timeout=PATIENCE)
            page.wait_for_timeout(1500)  # the charts grow into their width
            page.screenshot(path=FOLDER / f"dashboard_{name}.png", timeout=PATIENCE)
        browser.close()


if __name__ == "__main__":
    main()
