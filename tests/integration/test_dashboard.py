"""The dashboard in a real browser: Debian's chromium, on a refreshed warehouse of India and Japan.

Skipped where chromium or the packages of the extra `dashboard` are missing; `.ci/run` fails then.
"""

import csv
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import duckdb
import pytest
from python_calamine import CalamineWorkbook

from minerals.settings import PROJECT_ROOT
from tests.integration.conftest import TestWarehouse

pytest.importorskip("streamlit", reason="`make setup-dashboard` installs the dashboard's packages")
playwright = pytest.importorskip("playwright.sync_api", reason="run `make setup-dashboard`")
maps = pytest.importorskip("dashboard.maps", reason="run `make setup-dashboard`")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")

PAGES = sorted(file.stem for file in (PROJECT_ROOT / "dashboard" / "pages").glob("*.py"))
PATIENCE = 60_000  # milliseconds; the first page waits for Streamlit's and pandas' own start
# Streamlit looks for its own server under the page's path first.
_PROBE = re.compile(r"/[a-z_]+/_stcore/(health|host-config)$")


class Reader:
    """Somebody with a browser, and all that the browser complained about."""

    def __init__(self, browser, address: str) -> None:
        self.address = address
        self.browser = browser
        self.complaints: list[str] = []
        self.page = browser.new_page(viewport={"width": 1400, "height": 1000})
        self.page.set_default_timeout(PATIENCE)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("console", self._said)
        self.page.on("request", self._asked)

    def open(self, page: str, **choices: str) -> None:
        name = "" if page == "overview" else page
        self.page.goto(f"{self.address}/{name}?{urlencode(choices)}")
        self.settled()

    def settled(self) -> None:
        """Wait until the page is drawn."""
        self.page.wait_for_selector("h1")
        self.page.wait_for_selector(
            '[data-testid="stApp"][data-test-script-state="notRunning"]', state="attached"
        )
        self.page.wait_for_timeout(300)

    def errors(self) -> list[str]:
        found = self.page.locator('[data-testid="stException"]').all_inner_texts()
        alerts = self.page.locator('[data-testid="stAlertContentError"]').all_inner_texts()
        return [*found, *alerts, *self.complaints]

    def drawn(self):
        """The charts, once all of them are drawn."""
        charts = self.page.locator('[data-testid="stVegaLiteChart"]')
        pictures = self.page.get_by_role("button", name="Download as PNG")
        playwright.expect(pictures).to_have_count(charts.count(), timeout=PATIENCE)
        return charts

    def text(self) -> str:
        return self.page.locator('[data-testid="stMain"]').inner_text()

    def choices(self) -> dict[str, str]:
        """What the address says."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.page.url).query).items()}

    def chosen(self, label: str) -> str:
        """What a select box shows."""
        return self.box(label).input_value()

    def box(self, label: str):
        return self.page.get_by_role("combobox", name=label)

    def choose(self, label: str, typed: str) -> None:
        """Change a select box with the keyboard alone."""
        self.box(label).focus()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(typed)
        self.page.get_by_role("option", name=typed, exact=True).wait_for()
        self.page.keyboard.press("Enter")

    def download(self, key: str) -> bytes:
        with self.page.expect_download() as started:
            self.page.locator(f".st-key-{key} button").first.click()
        return Path(started.value.path()).read_bytes()

    def _said(self, message) -> None:
        place = message.location.get("url", "")
        if message.type == "error" and not _PROBE.search(place):
            self.complaints.append(f"console: {message.text} {place}")

    def _asked(self, request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:", "ws://127.0.0.1")):
            self.complaints.append(f"asks outside: {request.url}")


@pytest.fixture(scope="module")
def address(own: TestWarehouse) -> Iterator[str]:
    """The dashboard as `minerals dashboard` starts it."""
    from benchmarks.dashboard import served

    with served(own.environment) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def reader(browser, address: str) -> Iterator[Reader]:
    reader = Reader(browser, address)
    yield reader
    reader.page.close()


@pytest.mark.parametrize("importer", ["IND", "JPN"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_without_an_error(own, reader, page, importer):
    reader.open(page, importer=importer)
    assert reader.errors() == []
    assert own.release_id() in reader.text()
    assert reader.choices().get("importer", importer) == importer
    reader.drawn()


# Streamlit's own menu has its groups between list and items.
_OF_STREAMLIT = {"list", "listitem"}
# What is drawn anew is pale for a moment.
_STANDS_STILL = """() => !document.querySelector('[data-stale="true"]')
    && document.getAnimations().every(one => one.playState !== 'running')"""
_WRITTEN = """() => [...document.querySelectorAll(
    '.role-axis-label text, .role-axis-title text, .role-legend-label text, .role-title text')
].map(text => getComputedStyle(text).fill)"""


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_accessible(reader, page):
    """By axe-core: headings in order, labels of inputs, language and contrast of text, among the
    rest; and what it cannot see: the alternatives of charts and grids, and the ink of charts."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="run `make setup-dashboard`",
    )
    reader.open(page, importer="IND", mineral="Copper")
    charts = reader.drawn()
    reader.page.wait_for_function(_STANDS_STILL)
    found = axe.Axe().run(reader.page).response["violations"]
    broken = {
        f"{rule['id']}: {node['target']}" for rule in found if rule["id"] not in _OF_STREAMLIT
        for node in rule["nodes"]
    }  # fmt: skip
    assert broken == set()
    menu = [node["target"][0] for rule in found for node in rule["nodes"]]
    inside = "s => document.querySelector(s).closest('[data-testid=stSidebarNav]') !== null"
    assert all(reader.page.evaluate(inside, target) for target in menu)
    told = charts.evaluate_all("all => all.map(c => c.role === 'graphics-document' && c.ariaLabel)")
    assert all(isinstance(text, str) and len(text) > 10 for text in told)
    for grid in reader.page.locator('[data-testid="stDataFrame"]').all():
        if grid.is_visible():  # not in a tab that is closed
            assert re.search('region "(Table|Columns of) ', grid.aria_snapshot())
    inks = set(reader.page.evaluate(_WRITTEN))
    assert [ink for ink in inks if contrast_to_white(ink) < 4.5] == []
    assert inks or charts.count() == 0


def contrast_to_white(colour: str) -> float:
    """Of 'rgb(89, 89, 89)', by WCAG 2."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)


@pytest.mark.parametrize(
    ("page", "choices", "words"),
    [
        ("mineral", {"mineral": "Silicon"}, "No ranking and no portfolio of Silicon"),
        ("ranking", {"mineral": "Hafnium"}, "No data in this release: Hafnium"),
        ("imports", {"mineral": "Hafnium"}, "No data in this release: Hafnium"),
        ("portfolio", {"mineral": "Hafnium"}, "No data in this release: Hafnium"),
        (
            "overview",
            {"importer": "FRA"},
            "Importer FRA is not available here. Available: IND, JPN",
        ),
        ("partner", {"partner": "ZZZ"}, "Partner ZZZ is not available here"),
        ("demand", {"mineral": "Hafnium"}, "No data in this release: demand of Hafnium"),
        ("ranking", {"mineral": "Unobtainium"}, "Mineral Unobtainium is not available here"),
    ],
)
def test_an_importer_or_mineral_without_data_says_so(reader, page, choices, words):
    reader.open(page, **choices)
    assert words in reader.text()
    assert reader.errors() == []


def test_a_link_restores_the_filters_and_a_choice_changes_the_link(browser, address, reader):
    reader.open("ranking", importer="JPN", mineral="Nickel", category="ores", model="expected")
    assert reader.chosen("Importer") == "Japan (JPN)"
    assert reader.chosen("Mineral") == "Nickel"
    assert reader.chosen("Model") == "expected"
    reader.choose("Mineral", "Cobalt")
    reader.page.wait_for_url("**mineral=Cobalt**")
    reader.settled()
    assert "Cobalt, ores, imports of Japan (JPN)" in reader.text()

    other = Reader(browser, address)
    other.page.goto(reader.page.url)
    other.settled()
    assert other.choices() == reader.choices()
    assert "Cobalt, ores, imports of Japan (JPN)" in other.text()
    other.page.get_by_role("link", name="Portfolio").click()
    other.page.wait_for_url("**/portfolio**mineral=Cobalt**")
    assert other.choices()["importer"] == "JPN"
    other.page.close()


def test_the_years_stay_when_the_market_changes(own, reader):
    ((first, last),) = own.served("select min(year), max(year) from marts.trade_flows")
    (mineral, category, began), *_ = own.served(
        "select mineral, category, min(year) from marts.trade_flows where importer_iso3 = 'IND' "
        "group by all order by 3 desc, 1, 2 limit 1"
    )
    assert began > first
    reader.open("imports", importer="IND", mineral=mineral, category=category)
    assert reader.choices()["years"] == f"{first}-{last}"


def test_a_picked_row_is_written_out_whole(own, reader):
    """The evidence of a supplier is longer than a cell."""
    reader.open("portfolio", importer="JPN", mineral="Nickel", category="ores")
    grid = reader.page.locator(".st-key-grid_partners .dvn-scroller").first
    grid.scroll_into_view_if_needed()
    grid.click(position={"x": 15, "y": 55})  # the mark of the first row
    row = reader.page.locator("dl.row")
    row.wait_for()
    ((evidence,),) = own.served(
        "select evidence from marts.portfolio_partners where importer_iso3 = 'JPN' "
        "and mineral = 'Nickel' and category = 'ores' order by greatest(coalesce(actual_share, 0), "
        "coalesce(recommended_share, model_share, 0)) desc, exporter_iso3 limit 1"
    )
    assert evidence in row.inner_text()
    assert reader.errors() == []


def test_a_category_without_trade_offers_those_with_some(own, reader):
    reader.open("imports", importer="IND", mineral="Lithium", category="scrap")
    reader.page.get_by_role("button", name="Show products").click()
    reader.page.wait_for_url("**category=products**")
    reader.settled()
    assert "Lithium, products, imports of India (IND)" in reader.text()
    assert reader.errors() == []


@pytest.mark.parametrize("page", ["mineral", "ranking", "portfolio", "shocks", "partner"])
def test_pages_that_name_suppliers_say_what_is_not_known_of_them(reader, page):
    reader.open(page, importer="IND", mineral="Copper", category="ores")
    assert "There is no register of sanctions or embargoes here" in reader.text()


def test_downloads_equal_the_mart(own, reader):
    reader.open("portfolio", importer="JPN", mineral="Nickel", category="ores")
    expected = own.served(
        "select exporter_iso3, recommended_share from marts.portfolio_partners "
        "where importer_iso3 = 'JPN' and mineral = 'Nickel' and category = 'ores' order by 1"
    )
    rows = sorted(rows_of(reader.download("partners_csv")), key=lambda row: row["exporter_iso3"])
    assert [row["exporter_iso3"] for row in rows] == [iso3 for iso3, _ in expected]
    assert [float(row["recommended_share"]) for row in rows] == [share for _, share in expected]
    assert {row["release_id"] for row in rows} == {own.release_id()}
    assert all("CEPII" in row["source"] and "Etalab" in row["licence"] for row in rows)

    book = CalamineWorkbook.from_filelike(io.BytesIO(reader.download("partners_xlsx")))
    assert book.sheet_names == ["rows", "columns", "source"]
    header, *cells = book.get_sheet_by_name("rows").to_python()
    share = header.index("recommended_share")
    found = {row[0]: row[share] for row in cells}
    assert found == pytest.approx(dict(expected), rel=1e-12)
    meanings = {row[0]: row[2] for row in book.get_sheet_by_name("columns").to_python()}
    assert meanings["recommended_share"].startswith("Share in the recommended portfolio")


def test_a_chart_is_saved_as_a_picture_that_names_its_source(own, reader):
    reader.open("ranking", importer="IND", mineral="Lithium")
    chart = reader.page.locator('[data-testid="stVegaLiteChart"]').first
    chart.locator("svg").wait_for()
    written = " ".join(chart.locator("svg text").all_text_contents())
    assert "CEPII (Etalab Open Licence 2.0)" in written
    assert own.release_id() in written
    chart.hover()
    with reader.page.expect_download() as started:
        reader.page.get_by_role("button", name="Download as PNG").first.click()
    assert Path(started.value.path()).read_bytes().startswith(b"\x89PNG")


def test_the_world_is_drawn_in_tiles_and_with_boundaries_on_request(own, reader):
    choices = {"importer": "IND", "mineral": "Cobalt", "source": "world_mining_data"}
    reader.open("world_supply", **choices)
    charts = reader.page.locator('[data-testid="stVegaLiteChart"]')
    for country in ("COD", "IND", "NZL"):
        charts.nth(1).locator("svg text", has_text=country).first.wait_for(state="attached")
    assert maps.DISCLAIMER not in reader.text()
    countries = own.served("select count(*) from marts.dim_country")[0][0]
    assert len(reader.page.locator('[aria-roledescription="rect mark"]').all()) >= countries
    reader.choose("Draw it as", "boundaries")
    reader.page.get_by_text(maps.DISCLAIMER).wait_for()
    reader.settled()
    shapes = charts.nth(1).locator(".mark-shape path")
    shapes.first.wait_for(state="attached")
    assert shapes.count() > 200 and reader.choices()["map"] == "boundaries"
    assert reader.errors() == []


@pytest.mark.parametrize("mineral", ["Copper", "Rare Earths"])
def test_the_fact_sheet_prints_on_two_sheets(reader, mineral):
    reader.open("mineral", importer="IND", mineral=mineral)
    reader.page.wait_for_selector(".vega-embed canvas, .vega-embed svg")
    reader.drawn()
    reader.page.wait_for_timeout(2000)
    printed = reader.page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", printed)) == 2


def test_unknown_quantities_and_no_trade_look_different(own, reader):
    """A supplier and year without trade, and trade without a quantity, in the downloaded cells and
    in the notes under the table."""
    (mineral, category), *_ = own.served(
        "select mineral, category from marts.trade_flows where importer_iso3 = 'IND' "
        "and is_quantity_unknown group by all order by count(*) desc, mineral, category limit 1"
    )
    reader.open("imports", importer="IND", mineral=mineral, category=category, measure="quantity")
    assert "unknown: trade without a known quantity" in reader.text()
    cells = rows_of(reader.download("supplier_by_year_csv"))
    unknown = own.served(
        "select count(*) from (select bool_or(is_quantity_unknown) as is_unknown "
        "from marts.trade_flows where importer_iso3 = 'IND' "
        f"and mineral = '{mineral}' and category = '{category}' group by exporter_iso3, year) "
        "where is_unknown"
    )[0][0]
    assert sum(cell["is_unknown"] == "True" for cell in cells) == unknown > 0


def test_each_indicator_shows_what_the_mart_has(own, reader):
    """Three countries and two years of each of the 17 variables, as the table of the page has them:
    three digits or whole numbers, tons for kg, marked when imputed."""
    indicators = own.served("select indicator_id, unit from marts.indicator_catalogue order by 1")
    assert len(indicators) == 17
    for indicator, unit in indicators:
        rows = own.served(
            f"""
            with held as (
                from marts.indicator_values
                where indicator_id = '{indicator}' and importer_iso3 in ('', 'IND')
                    and value > 0
            ),
            market as (
                select mineral, max(year) as newest from held
                group by mineral having count(distinct country_iso3) >= 3
                order by newest desc, count(*) desc, mineral limit 1
            ),
            chosen as (
                select distinct country_iso3 from held inner join market using (mineral)
                where year >= newest - 1 order by 1 limit 3
            )
            select mineral, country_iso3, year, value, is_imputed
            from held inner join market using (mineral) inner join chosen using (country_iso3)
            where year >= newest - 1
            order by country_iso3, year
            """
        )
        if not rows:  # scrap is not in the open bundle
            assert indicator.startswith("scrap")
            reader.open("explore", indicator=indicator, importer="IND", mineral="Copper")
            assert "No data in this release" in reader.text()
            continue
        countries = sorted({row[1] for row in rows})
        assert len(countries) == 3
        reader.open(
            "explore", indicator=indicator, importer="IND", mineral=rows[0][0] or "Copper",
            countries=",".join(countries),
        )  # fmt: skip
        shown = table_of(reader)
        for _, country, year, value, is_imputed in rows:
            (name,) = [heading for heading in shown["columns"] if f"({country})" in heading]
            text = shown[str(year) if year else "all years"][shown["columns"].index(name)]
            value = value / 1000 if unit == "kg" else value
            figure = float(text.removeprefix("† ").replace(",", ""))
            assert figure == pytest.approx(value, rel=0.006, abs=0.51 if abs(value) >= 100 else 0)
            assert text.startswith("†") == is_imputed
        assert reader.errors() == []


def table_of(reader: Reader) -> dict[str, list[str]]:
    """The written-out table of a page: its columns, and the cells of each row by its heading."""
    table = reader.page.locator('[data-testid="stTable"] table').last
    table.wait_for()
    columns, *rows = (
        [cell.strip() for cell in row.locator("th, td").all_inner_texts()]
        for row in table.locator("tr").all()
    )
    return {"columns": columns[1:], **{row[0]: row[1:] for row in rows}}


def rows_of(download: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(download.decode())))


def test_any_supplier_can_be_lost(own, reader):
    """The page takes away what `portfolio_shocks` takes away, and a second supplier by keyboard."""
    ((supplier, name),) = own.served(
        "select lost_exporters, any_value(country_name) from marts.portfolio_shocks "
        "inner join marts.dim_country on country_iso3 = lost_exporters "
        "where importer_iso3 = 'IND' and shock_kind = 'partner' and lost_exporters <> 'RUS' "
        "group by 1 order by count(*) desc, 1 limit 1"
    )
    reader.open("shocks", importer="IND", lose=supplier)
    lost = {
        (row["mineral"], row["category"]): (float(row["lost_share"]), row["next_best"])
        for row in rows_of(reader.download("losses_csv"))
    }
    expected = own.served(
        "select mineral, category, lost_share, next_best from marts.portfolio_shocks "
        "where importer_iso3 = 'IND' and shock_kind = 'partner' "
        f"and lost_exporters = '{supplier}' and lost_qty_kg > 0"
    )
    assert expected and lost == {(row[0], row[1]): (row[2], row[3]) for row in expected}
    reader.box("Suppliers to lose (up to five)").focus()
    reader.page.keyboard.type("Russia")
    reader.page.get_by_role("option", name="Russia (RUS)").wait_for()
    reader.page.keyboard.press("Enter")
    reader.page.wait_for_url(f"**lose={supplier}%2CRUS**")
    reader.settled()
    assert f"without {name} ({supplier}), Russia (RUS)" in reader.text()
    assert len(rows_of(reader.download("losses_csv"))) > len(lost)
    assert reader.errors() == []


@pytest.mark.parametrize(
    ("page", "choices", "download", "figure", "sql"),
    [
        (
            "overview", {"markets": "1"}, "markets", "hhi_actual",
            "select hhi_actual from marts.portfolio_concentration where importer_iso3 = 'JPN'",
        ),
        (
            "partner", {"partner": "AUS"}, "partner_markets", "headline_rank",
            "select headline_rank from marts.supplier_overview "
            "where importer_iso3 = 'JPN' and exporter_iso3 = 'AUS'",
        ),
        (
            "mineral", {"mineral": "Rare Earths", "beside": "IND"}, "beside", "hhi_actual",
            "select hhi_actual from marts.portfolio_concentration where mineral = 'Rare Earths'",
        ),
        (
            "study", {"verdict": "near"}, "figure_checks", "computed_value",
            "select computed_value from marts.figure_checks where verdict = 'near'",
        ),
        (
            "data", {}, "trade_unit_value_outliers", "unit_value_ratio",
            "select unit_value_ratio from marts.trade_unit_value_outliers "
            "where importer_iso3 = 'JPN'",
        ),
        (
            "shocks", {"measures": "all"}, "policy_event_exposure", "severity",
            "select severity from marts.policy_event_exposure where importer_iso3 = 'JPN'",
        ),
        (
            "agreements", {}, "partner_attributes", "distance_km",
            "select distance_km from marts.partner_attributes where importer_iso3 = 'JPN'",
        ),
        (
            "chokepoints", {"kind_of_score": "computed"}, "chokepoint_matrix", "score",
            "select score from marts.chokepoint_scores "
            "where country_iso3 = 'JPN' and score_kind = 'computed'",
        ),
        (
            "demand", {}, "supply_growth_gap", "gap_points",
            "select gap_points from marts.supply_growth_gap",
        ),
    ],
)  # fmt: skip
def test_a_page_shows_every_row_of_its_mart(own, reader, page, choices, download, figure, sql):
    reader.open(page, importer="JPN", **choices)
    assert reader.errors() == []
    shown = [row[figure] for row in rows_of(reader.download(f"{download}_csv"))]
    expected = [value for (value,) in own.served(sql)]
    assert expected
    assert sorted(float(text) for text in shown if text) == pytest.approx(
        sorted(value for value in expected if value is not None)
    )
    assert len(shown) == len(expected)


@pytest.mark.parametrize(
    ("page", "choices", "sql"),
    [
        (
            "overview", {},
            "select regexp_extract(rationale, 'index is [0-9.]+, as of [0-9.]+ equal suppliers') "
            "from marts.contingency_priorities "
            "inner join marts.portfolio_strategy using (importer_iso3, mineral, category) "
            "where importer_iso3 = 'IND' and priority_rank = 1",
        ),
        (
            "mineral", {"mineral": "Gallium"},
            "select distinct event from marts.policy_events "
            "where mineral = 'Gallium' and direction = 'restricts'",
        ),
        (
            "mineral", {"mineral": "Germanium"},
            "select instruments from marts.policy_options "
            "where importer_iso3 = 'IND' and mineral = 'Germanium' and category = 'ores'",
        ),
        (
            "ranking", {"mineral": "Lithium", "category": "products"},
            "select 'First: ' || exporter_name || ' (' || exporter_iso3 || ')' "
            "from marts.supplier_overview where importer_iso3 = 'IND' and mineral = 'Lithium' "
            "and category = 'products' and headline_rank = 1",
        ),
        (
            "world_supply", {"mineral": "Cobalt", "source": "world_mining_data", "year": "2024"},
            "select top1_country || ' (' || top1_iso3 || ') has ' || round(100 * top1_share)::int "
            "|| '%' from marts.world_production_concentration where mineral = 'Cobalt' "
            "and source_dataset = 'world_mining_data' and year = 2024 and stage = 'mined'",
        ),
        (
            "imports", {"mineral": "Nickel", "category": "ores", "measure": "unit_value"},
            "select 'In ' || max(year) || ': ' from marts.trade_unit_values "
            "where importer_iso3 = 'IND' and mineral = 'Nickel' and category = 'ores'",
        ),
        (
            "agreements", {},
            "select distinct name from marts.partner_agreements "
            "where importer_iso3 = 'IND' and scope = 'minerals'",
        ),
    ],
)  # fmt: skip
def test_what_is_asked_first_is_said_in_words(own, reader, page, choices, sql):
    reader.open(page, importer="IND", **choices)
    expected = own.served(sql)
    assert expected
    main = reader.page.locator('[data-testid="stMain"]')
    for (words,) in expected:
        playwright.expect(main).to_contain_text(words, timeout=PATIENCE)
    assert reader.errors() == []


def test_a_signal_shows_whom_it_touches(own, reader):
    ((signal, subject, rows),) = own.served(
        "select signal_id, any_value(subject), count(*) from marts.signal_exposure "
        "inner join marts.supply_signals using (signal_id) "
        "where signal_exposure.importer_iso3 = 'IND' group by all order by 3 desc, 1 limit 1"
    )
    reader.open("signals", importer="IND", signal=signal)
    assert subject in reader.text()
    assert len(rows_of(reader.download("signal_exposure_csv"))) == rows
    assert reader.errors() == []


def test_any_mart_is_taken_whole(own, reader, tmp_path):
    reader.open("data", importer="JPN", mart="portfolio_strategy", rows="importer")
    expected = own.served(
        "select category, mineral, strategy from marts.portfolio_strategy "
        "where importer_iso3 = 'JPN' order by 1, 2"
    )
    shown = rows_of(reader.download("whole_mart_csv"))
    assert [(row["category"], row["mineral"], row["strategy"]) for row in shown] == expected
    file = tmp_path / "mart.parquet"
    file.write_bytes(reader.download("whole_mart_parquet"))
    held = duckdb.read_parquet(str(file)).select("category, mineral, strategy").fetchall()
    assert held == expected
    book = CalamineWorkbook.from_filelike(io.BytesIO(reader.download("whole_mart_xlsx")))
    assert len(book.get_sheet_by_name("rows").to_python()) == len(expected) + 1
    reader.open("data", importer="JPN", mart="source_snapshots")
    licences = own.served("select licence from marts.source_snapshots order by dataset")
    shown = rows_of(reader.download("whole_mart_csv"))
    assert [(row["licence"],) for row in shown] == licences
    reader.open("data", importer="JPN", mart="trade_flows")
    assert reader.page.locator(".st-key-whole_mart_xlsx button").first.is_disabled()
    assert reader.errors() == []


def test_a_new_release_is_offered_and_never_mixed(own, reader):
    before = own.release_id()
    reader.open("overview", importer="IND")
    assert before in reader.text()
    with duckdb.connect(str(own.settings.database), read_only=True) as warehouse:
        after = own.store().publish(warehouse, {"settings": {"profile": "bundled"}}).release_id
    offer = reader.page.get_by_role("button", name="Show the newer release")
    offer.wait_for()
    assert f"A newer release is available: {after}" in reader.text()
    reader.page.get_by_role("link", name="Ranking").click()
    reader.page.wait_for_url("**/ranking**")
    reader.settled()
    assert f"Release {before}" in " ".join(reader.text().split())
    offer.click()
    reader.page.wait_for_function(f"!document.body.innerText.includes('{before}')")
    assert f"Release {after}" in " ".join(reader.text().split())
    assert reader.errors() == []
