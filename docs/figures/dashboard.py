"""Draws docs/figures/dashboard_<page>.png, one per page, from the release: `make figures`."""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from benchmarks.dashboard import PATIENCE, served

FOLDER = Path(__file__).parent
PAGES = {
    "overview": "",
    "mineral": "mineral=Copper",
    "partner": "partner=CHN",
    "imports": "mineral=Lithium&category=products",
    "world_supply": "mineral=Copper",
    "explore": "indicator=fdi&year=2023",
    "ranking": "mineral=Lithium&category=products",
    "portfolio": "mineral=Lithium&category=products",
    "shocks": "lose=CHN",
    "agreements": "",
    "chokepoints": "",
    "demand": "mineral=Lithium",
    "signals": "",
    "study": "",
    "data": "",
}
DRAWN = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    return app && app.dataset.testScriptState === 'notRunning' && document.querySelector('h1')
        && !document.querySelector('[data-testid="stSkeleton"]')
        && document.querySelector('.vega-embed svg, [data-testid="stDataFrame"] canvas');
}"""


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("The pictures of the dashboard need chromium, which is not on this machine.")
    with served() as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 940})
        for name, choices in PAGES.items():
            path = "" if name == "overview" else name
            page.goto(f"{address}/{path}?{choices}", timeout=PATIENCE)
            page.wait_for_function(DRAWN, timeout=PATIENCE)
            page.wait_for_timeout(1500)  # the charts grow into their width
            draw(page.screenshot(timeout=PATIENCE), FOLDER / f"dashboard_{name}.png")
        browser.close()


def draw(picture: bytes, file: Path) -> None:
    """Write a picture in 256 colours, which halves it."""
    with Image.open(io.BytesIO(picture)) as drawn:
        few = drawn.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        few.save(file, optimize=True)


if __name__ == "__main__":
    main()
