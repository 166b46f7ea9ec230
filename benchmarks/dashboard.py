"""How long a reader of the dashboard waits, in a real browser on the served release.

Opens the first page anew and changes a filter again and again; prints median and 95th percentile of
each. A page is there when its charts are drawn, a change when the page is redrawn. The server is
warm: the first page of each kind is not counted. Exit code 1 when, without `--quick`, the 95th
percentile of the first page is over 2 s or of a change over 0.5 s. Run by
`make benchmark-dashboard`.

    python benchmarks/dashboard.py [--quick] [--pages 20] [--changes 40]
"""

import argparse
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from playwright.sync_api import Page, sync_playwright

FIRST_PAGE = 2.0  # seconds, 95th percentile
CHANGE = 0.5
PATIENCE = 120_000  # milliseconds
DRAWN = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    return app && app.dataset.testScriptState === 'notRunning'
        && document.querySelector('h1')
        && document.querySelector('.vega-embed canvas, .vega-embed svg');
}"""
SHOWS = """words => {
    const app = document.querySelector('[data-testid="stApp"]');
    return app.dataset.testScriptState === 'notRunning'
        && document.querySelector('[data-testid="stMain"]').innerText.includes(words);
}"""
MINERALS = ("Cobalt", "Copper", "Nickel", "Graphite", "Tin", "Titanium", "Lithium", "Tungsten")


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true", help="few repetitions, no limits")
    options.add_argument("--pages", type=int, default=20)
    options.add_argument("--changes", type=int, default=40)
    chosen = options.parse_args()
    pages, changes = (3, 4) if chosen.quick else (chosen.pages, chosen.changes)
    chromium = shutil.which("chromium")
    if chromium is None:
        print("There is no chromium on this machine: nothing is measured.")
        return 0
    with served() as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        print(header(browser.new_page(), address))
        opened = [first_page(browser.new_context().new_page(), address) for _ in range(pages + 1)]
        page = browser.new_page()
        changed = {name: change(page, address, name, changes) for name in ("ranking", "imports")}
        browser.close()
    found = {"first page": (opened[1:], FIRST_PAGE)}
    found |= {f"change of a filter, {name}": (times, CHANGE) for name, times in changed.items()}
    slow = []
    for what, (times, limit) in found.items():
        at_95 = quantiles(times, n=20, method="inclusive")[-1]
        print(
            f"{what:28} median {median(times):.2f} s, 95th percentile {at_95:.2f} s "
            f"(limit {limit} s), {len(times)} times"
        )
        slow += [what] if at_95 > limit else []
    if slow and not chosen.quick:
        print(f"Too slow: {', '.join(slow)}.")
        return 1
    return 0


@contextmanager
def served(environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """The address of the dashboard, started as a reader does, on a port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    minerals = str(Path(sys.executable).with_name("minerals"))
    process = subprocess.Popen(
        [minerals, "dashboard", "--port", str(port)], env=environment, stdout=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=5).read()
                break
            except OSError:
                if process.poll() is not None:
                    sys.exit("The dashboard did not start: see the message above.")
                time.sleep(0.2)
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def header(page: Page, address: str) -> str:
    """What the page says of the release."""
    page.goto(address, timeout=PATIENCE)
    page.wait_for_function(DRAWN, timeout=PATIENCE)
    return page.locator(
        '[data-testid="stMain"] [data-testid="stCaptionContainer"]'
    ).first.inner_text()


def first_page(page: Page, address: str) -> float:
    """Seconds until the first page is there, for a browser that has seen none."""
    began = time.perf_counter()
    page.goto(address, timeout=PATIENCE)
    page.wait_for_function(DRAWN, timeout=PATIENCE)
    taken = time.perf_counter() - began
    page.close()
    return taken


def change(page: Page, address: str, name: str, times: int) -> list[float]:
    """Seconds from the choice of another mineral to the page that shows it."""
    page.goto(f"{address}/{name}?mineral=Graphite&category=ores", timeout=PATIENCE)
    page.wait_for_function(DRAWN, timeout=PATIENCE)
    seconds = []
    for turn in range(times + 1):
        mineral = MINERALS[turn % len(MINERALS)]
        box = page.get_by_role("combobox", name="Mineral")
        box.focus()
        page.keyboard.press("Control+A")
        page.keyboard.type(mineral)
        page.get_by_role("option", name=mineral, exact=True).wait_for(timeout=PATIENCE)
        page.wait_for_timeout(300)
        began = time.perf_counter()
        page.keyboard.press("Enter")
        page.wait_for_function(SHOWS, arg=f"{mineral}, ores", timeout=PATIENCE)
        seconds.append(time.perf_counter() - began)
    return seconds[1:]


if __name__ == "__main__":
    sys.exit(main())
