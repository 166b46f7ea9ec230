"""The dashboard of deploy/superset in a real Superset: an empty one imports it with its command
line, a browser opens it, and the figures that its charts get are those of the marts.

Skipped where there is no Superset: `SUPERSET_BIN` names its command, or it is on the PATH.
"""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from minerals.settings import PROJECT_ROOT
from tests.integration.conftest import TestWarehouse

playwright = pytest.importorskip("playwright.sync_api", reason="`make setup-dashboard`")
SUPERSET = os.environ.get("SUPERSET_BIN") or shutil.which("superset")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.skipif(
        SUPERSET is None, reason="no Superset: it is not on the PATH, SUPERSET_BIN is not set"
    ),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]

DEPLOY = PROJECT_ROOT / "deploy"
CHARTS = {
    file.stem: yaml.safe_load(file.read_text("utf-8"))["slice_name"]
    for file in (DEPLOY / "superset" / "charts").glob("*.yaml")
}
ONE_MARKET = {"leaders", "rebalance", "imports", "prices", "world"}  # charts of the second tab
PATIENCE = 120  # seconds; Superset's own start takes ten, on a machine that is not busy
LITHIUM = "importer_iso3 = 'IND' and mineral = 'Lithium' and category = 'products'"


@dataclass
class Superset:
    """An installation with an empty home, of one administrator."""

    home: Path
    environment: dict[str, str]
    password: str

    def run(self, *arguments: str) -> None:
        done = subprocess.run(
            [str(SUPERSET), *arguments],
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == 0, f"superset {arguments[0]}: {done.stdout} {done.stderr}"


@pytest.fixture(scope="module")
def superset(refreshed: TestWarehouse, tmp_path_factory) -> Superset:
    """Set up as docs/bi.md says, with the locked connections of deploy/superset_config.py."""
    home = tmp_path_factory.mktemp("superset")
    locks = (DEPLOY / "superset_config.py").read_text(encoding="utf-8")
    (home / "superset_config.py").write_text(
        f"SECRET_KEY = '{secrets.token_hex(32)}'\n"
        f"SQLALCHEMY_DATABASE_URI = 'sqlite:///{home}/superset.db'\n"
        + locks.replace("/srv/minerals/releases", str(refreshed.settings.releases_dir))
    )
    places = {
        "SUPERSET_HOME": str(home),
        "SUPERSET_CONFIG_PATH": str(home / "superset_config.py"),
    }
    made = Superset(home, {**os.environ, **places}, secrets.token_hex(8))
    made.run("db", "upgrade")
    made.run(
        "fab", "create-admin", "--username", "admin", "--firstname", "A", "--lastname", "B",
        "--email", "admin@example.org", "--password", made.password,
    )  # fmt: skip
    made.run("init")
    warehouse = str(refreshed.settings.warehouse_dir)
    packed = [sys.executable, str(DEPLOY / "superset" / "pack.py"), warehouse]
    subprocess.run(packed, cwd=home, check=True)
    made.run("import-dashboards", "--path", "minerals_dashboard.zip", "--username", "admin")
    return made


@pytest.fixture(scope="module")
def address(superset: Superset) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address, log = f"http://127.0.0.1:{port}", superset.home / "server.log"
    command = [str(SUPERSET), "run", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as out:
        server = subprocess.Popen(
            command, cwd=superset.home, env=superset.environment, stdout=out, stderr=out
        )
        try:
            _until(lambda: _healthy(address) or server.poll() is not None)
            assert server.poll() is None, log.read_text()
            yield address
        finally:
            server.terminate()
            server.wait(timeout=30)


def _healthy(address: str) -> bool:
    try:
        return urllib.request.urlopen(f"{address}/health", timeout=5).status == 200
    except OSError:
        return False


def _until(condition: Callable[[], bool], wait: Callable[[], object] | None = None) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "Superset does not answer"
        wait() if wait else time.sleep(0.5)


class Reader:
    """An administrator with a browser, and what Superset answered to each chart."""

    def __init__(self, page, address: str, password: str) -> None:
        self.page, self.address = page, address
        self.answers: dict[int, dict] = {}
        page.set_default_timeout(PATIENCE * 1000)
        page.on("response", self._answered)
        page.goto(f"{address}/login/")
        page.fill("#username", "admin")
        page.fill("#password", password)
        page.keyboard.press("Enter")
        page.wait_for_url("**/superset/welcome/**")
        listed = page.request.get(f"{address}/api/v1/dashboard/minerals/charts").json()["result"]
        self.ids = {chart["slice_name"]: chart["id"] for chart in listed}

    def open(self) -> None:
        self.page.goto(f"{self.address}/superset/dashboard/minerals/")
        self.wait_for(set(CHARTS) - ONE_MARKET)
        self.page.get_by_role("tab", name="One market").click()
        self.wait_for(ONE_MARKET)

    def choose(self, column: str, value: str) -> None:
        """Change a filter and wait for the charts that it changes."""
        self.page.locator(f"input#NATIVE_FILTER-{column}").focus()
        self.page.keyboard.type(value)
        self.page.locator(".ant-select-item-option", has_text=re.compile(f"^{value}$")).click()
        self.answers.clear()
        self.page.get_by_role("button", name="Apply filters").click()
        self.wait_for({"leaders", "rebalance", "imports", "prices"})

    def wait_for(self, charts: set[str]) -> None:
        wanted = {self.ids[CHARTS[chart]] for chart in charts}
        _until(lambda: wanted <= set(self.answers), lambda: self.page.wait_for_timeout(200))

    def rows(self, chart: str) -> list[dict]:
        """The rows that a chart is drawn from."""
        answer = self.answers[self.ids[CHARTS[chart]]]
        assert "result" in answer, answer
        assert [result["error"] for result in answer["result"]] == [None]
        assert answer["result"][0]["rejected_filters"] == []
        return answer["result"][0]["data"]

    def sql(self, statement: str) -> list[dict] | str:
        """What SQL Lab answers: rows, or why not."""
        request, headers = self.page.request, {"Referer": self.address}
        place = f"{self.address}/api/v1"
        headers["X-CSRFToken"] = request.get(f"{place}/security/csrf_token/").json()["result"]
        (database,) = request.get(f"{place}/database/").json()["result"]
        assert database["database_name"] == "Minerals"
        question = {"database_id": database["id"], "sql": statement}
        answer = request.post(f"{place}/sqllab/execute/", headers=headers, data=question).json()
        return answer["data"] if "data" in answer else answer["errors"][0]["message"]

    def _answered(self, response) -> None:
        place = urlsplit(response.url)
        form = parse_qs(place.query).get("form_data")
        if place.path == "/api/v1/chart/data" and form:
            self.answers[json.loads(form[0])["slice_id"]] = response.json()


@pytest.fixture(scope="module")
def reader(superset: Superset, address: str) -> Iterator[Reader]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        reader = Reader(browser.new_page(), address, superset.password)
        reader.open()
        yield reader
        browser.close()


def test_the_import_brings_every_chart(reader):
    assert set(reader.ids) == set(CHARTS.values())


@pytest.mark.parametrize("chart", sorted(CHARTS))
def test_every_chart_gets_rows(reader, chart):
    assert len(reader.rows(chart)) > 0


def test_the_figures_are_those_of_the_marts(refreshed, reader):
    shares = refreshed.served(
        f"select exporter_name, actual_share, recommended_share from marts.supplier_overview "
        f"where {LITHIUM} order by recommended_share desc limit 12"
    )
    drawn = {row["exporter_name"]: row for row in reader.rows("rebalance")}
    assert set(drawn) == {name for name, _, _ in shares}
    for name, actual, recommended in shares:
        assert drawn[name]["share_today"] == pytest.approx(actual)
        assert drawn[name]["share_recommended"] == pytest.approx(recommended)
    unused = refreshed.served(
        "select mineral, category, exporter_name from marts.supplier_overview "
        "where importer_name = 'India' and headline_rank <= effective_k "
        "and top_k_probability >= 0.9 and actual_share < 0.01"
    )
    names = ("mineral", "category", "exporter_name")
    listed = [tuple(row[name] for name in names) for row in reader.rows("underutilized")]
    assert sorted(listed) == sorted(unused)
    values = refreshed.served(
        f"select year, cast(sum(value_usd) as double) from marts.trade_flows where {LITHIUM} "
        "group by year"
    )
    by_year = {row.pop("year"): row for row in map(dict, reader.rows("imports"))}
    assert {year: sum(filter(None, row.values())) for year, row in by_year.items()} == (
        pytest.approx(dict(values))
    )
    concentrated = refreshed.served(
        "select mineral || ', ' || category, hhi_actual from marts.portfolio_concentration "
        "where importer_iso3 = 'IND' and is_concentrated order by hhi_actual desc limit 25"
    )
    assert {row["market"]: row["hhi_today"] for row in reader.rows("concentration")} == (
        pytest.approx(dict(concentrated))
    )
    paid = refreshed.served(
        f"select year, unit_value_usd_per_kg from marts.trade_unit_values where {LITHIUM}"
    )
    assert {row["year"]: row["paid"] for row in reader.rows("prices")} == pytest.approx(dict(paid))
    assert {row["release_id"] for row in reader.rows("sources")} == {refreshed.release_id()}


def test_the_imported_connection_reads_and_is_locked(reader):
    """Somebody who writes SQL in SQL Lab, as administrator."""
    assert reader.sql(
        "select current_setting('access_mode') as mode, "
        "current_setting('lock_configuration') as locked"
    ) == [{"mode": "read_only", "locked": True}]
    assert "does not allow for DDL/DML" in reader.sql("create table marts.mine as select 1")


def test_a_filter_asks_the_marts_anew(refreshed, reader):
    """The last test: it leaves the page with other filters."""
    columns = ("headline_rank", "exporter_name", "rank_low", "rank_high", "top_k_probability")
    importer = "India"
    for column, value in (("mineral", "Graphite"), ("importer", "Japan")):
        reader.choose(column, value)
        importer = value if column == "importer" else importer
        expected = refreshed.served(
            f"select {', '.join(columns)} from marts.supplier_overview "
            f"where importer_name = '{importer}' and mineral = 'Graphite' "
            "and category = 'products' and headline_rank <= effective_k order by headline_rank"
        )
        drawn = [tuple(row[name] for name in columns) for row in reader.rows("leaders")]
        assert drawn == expected
