"""What a new snapshot may change, and what an operator sees and decides when it may not."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from minerals.errors import SourceError
from minerals.settings import Settings
from minerals.sources import ingest
from minerals.sources.acceptance import SHAPES, TOLERANCES, Scope, assess
from minerals.sources.provider import DATASETS
from minerals.sources.snapshots import ORIGINALS, Original, SnapshotStore
from orchestration.cli import app

SOURCE = {
    "provider": "A publisher",
    "citation": "cite",
    "licence": "CC BY 4.0",
    "url": "https://example.org",
}
YEARS = range(2019, 2024)


def trade(
    years=YEARS, partners=range(1, 21), codes=("260300", "811292"), value=1e7, reporter="699",
    weight: float | None = 5.0, revision="H5",
):  # fmt: skip
    return [
        {"reporterCode": reporter, "partnerCode": str(p), "cmdCode": c, "period": y,
         "classificationCode": revision, "primaryValue": value, "netWgt": weight}
        for y in years for p in partners for c in codes
    ]  # fmt: skip


def production(years=YEARS, countries=("Chile", "Peru", "Total")):
    return [
        {"sheet": "Copper", "country": c, "year": y, "quantity": 9e6}
        for y in years
        for c in countries
    ]


def indicators(years=YEARS, countries=tuple("ABCDEFGHIJ"), debt: float | None = 60.0):
    return [
        {"iso3": c, "year": y, "SP.POP.TOTL": 1e6, "GC.DOD.TOTL.GD.ZS": debt}
        for y in years for c in countries
    ]  # fmt: skip


def geography(n: int):
    return [
        {"iso3": f"C{i:03}", "area_km2": 1e5, "main_city_lat_deg": 1.0, "main_city_lon_deg": 2.0}
        for i in range(n)
    ]


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "raw")


def snapshot(store: SnapshotStore, dataset: str, rows: list[dict]):
    """A snapshot of these rows, with one answer kept beside them."""
    received = store.root / "answer.json"
    store.root.mkdir(exist_ok=True)
    received.write_text("[]")

    def write(folder: Path):
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{dataset}.parquet")
        return {dataset: folder / f"{dataset}.parquet"}

    note = Original("answer.json", "http://localhost", {}, 200, None, None, "2026", SHA_OF_EMPTY, 2)
    sha256 = hashlib.sha256(str(rows).encode()).hexdigest()
    made, _ = store.create(dataset, SOURCE, sha256, "layout-1", write, [(note, received)])
    return made


SHA_OF_EMPTY = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"


def judged(store, dataset, before, after, scope=None):
    store.use(snapshot(store, dataset, before))
    return assess(store, snapshot(store, dataset, after), scope)


def test_every_dataset_has_its_tolerances_and_a_shape_to_be_compared_in():
    assert set(TOLERANCES) == set(SHAPES) == set(DATASETS)


@pytest.mark.parametrize(
    ("dataset", "before", "after", "words"),
    [
        ("bilateral_trade", trade(), trade(partners=range(1, 15)),
         ["30.0% fewer rows; the limit is 5%", "It lacks 6 countries (15, 16"]),
        ("bilateral_trade", trade(), trade(years=range(2019, 2023)),
         ["It lacks 1 year (699 in 2023); the limit is 0"]),
        ("bilateral_trade", trade(), trade(value=1.12e7), ["changes by +12.0%; the limit is 10%"]),
        ("bilateral_trade", trade(), trade(value=1e4), ["changes by -99.9%"]),
        ("bilateral_trade", trade(), trade(partners=range(1, 30)), ["45.0% more rows"]),
        ("production", production(), production(years=range(2020, 2025)),
         ["It lacks 1 year (2019)"]),
        ("production", production(), production(countries=("Chile", "Total")),
         ["50.0% fewer rows"]),
        ("country_indicators", indicators(), indicators(debt=None),
         ["50.0% fewer rows"]),
        ("country_indicators", indicators(), indicators(countries=tuple("ABCDEFG")),
         ["It lacks 3 countries (H, I, J); the limit is 2"]),
    ],
)  # fmt: skip
def test_what_is_outside_of_the_tolerances_is_refused_with_the_reason(
    store, dataset, before, after, words
):
    verdict = judged(store, dataset, before, after)
    assert not verdict.is_accepted
    for word in [*words, "is kept but not used", "rows created"]:
        assert word in str(verdict)


@pytest.mark.parametrize(
    ("dataset", "before", "after", "counts"),
    [
        ("bilateral_trade", trade(), trade(value=1.05e7), (0, 200, 0)),
        ("bilateral_trade", trade(), trade(partners=range(2, 23)), (20, 0, 10)),
        ("production", production(), production(years=range(2019, 2025)), (2, 0, 0)),
        ("country_indicators", indicators(), indicators(debt=61.0), (0, 50, 0)),
        ("country_geography", geography(200), geography(201), (1, 0, 0)),
    ],
)
def test_what_is_inside_is_accepted_and_counted(store, dataset, before, after, counts):
    verdict = judged(store, dataset, before, after)
    assert verdict.is_accepted, str(verdict)
    assert tuple(verdict.changes[k] for k in ("created", "updated", "deleted")) == counts


def test_a_year_or_an_importer_that_nobody_asks_for_is_not_lost(store):
    before = trade() + trade(reporter="392")
    after = trade(years=range(2020, 2024)) + trade(reporter="842", years=range(2020, 2024))
    scope = Scope(years=range(2020, 2024), importers=["699", "842"])
    verdict = judged(store, "bilateral_trade", before, after, scope)
    assert verdict.is_accepted, str(verdict)
    assert verdict.before == verdict.after
    assert not judged(store, "bilateral_trade", before, after, Scope()).is_accepted


@pytest.mark.parametrize(
    ("dataset", "before", "after", "words"),
    [
        ("bilateral_trade", trade(), trade() + trade(years=[2024], value=1.4e7),
         "699 in 2024 is new: 40 rows, 20 countries, total value 560,000,000, +40.0% on 2023."),
        ("bilateral_trade", trade(), trade(years=range(2020, 2024)) + trade(years=[2024]),
         "699 in 2024 is new"),
        ("bilateral_trade", trade(), trade(years=range(2016, 2024)), "699 in 2016 is new"),
        ("bilateral_trade", trade(), trade(years=range(2010, 2015), value=5e6), "2014 is new"),
        ("bilateral_trade", trade(), trade(codes=("260300", "811292", "740400", "750300")),
         "rows created 200, updated 0, deleted 0"),
        ("bilateral_trade", trade(), trade(years=range(2019, 2023))
            + trade(years=[2023], codes=("260300", "811231"), revision="H6"), "2023 is new"),
        ("production", production(), production() + production([2024]), "2024 is new"),
        ("country_indicators", indicators(), indicators() + indicators([2024], debt=None),
         "2024 is new: 10 rows"),
    ],
)  # fmt: skip
def test_a_new_year_a_moved_window_and_new_codes_are_accepted_and_said(
    store, dataset, before, after, words
):
    years = sorted({row["year" if "year" in row else "period"] for row in after})
    verdict = judged(store, dataset, before, after, Scope(years=years))
    assert verdict.is_accepted, str(verdict)
    assert words in str(verdict)


@pytest.mark.parametrize(
    ("dataset", "before", "new", "words"),
    [
        ("bilateral_trade", trade(), trade([2024], partners=range(1, 9)),
         "699 in 2024 has 8 countries, 2023 20; the least is 60% of these."),
        ("bilateral_trade", trade(), trade([2024], codes=("260300",), value=2e7),
         "699 in 2024 has 1 codes, 2023 2"),
        ("bilateral_trade", trade(), trade([2024], value=1e10, weight=5e3),
         "The total value of 699 in 2024 is 1e+03 times that of 2023; the limit is 10 times"),
        ("bilateral_trade", trade(), trade([2024], weight=5e-3),
         "The price of the median code of 699 in 2024 is 1e+03 times that of 2023"),
        ("production", production(), production([2024], countries=("Peru", "Total")),
         "2024 has 1 countries"),
        ("country_indicators", indicators(), indicators([2024], countries=tuple("ABC")),
         "2024 has 3 countries"),
    ],
)  # fmt: skip
def test_a_new_year_that_is_unlike_the_year_before_is_refused(store, dataset, before, new, words):
    verdict = judged(store, dataset, before, before + new)
    assert not verdict.is_accepted
    assert words in str(verdict)


def test_one_importer_s_loss_is_not_hidden_by_the_others(store):
    others = trade(reporter="392", value=1e9)
    halved = [row | {"primaryValue": 5e6} for row in trade([2023])]
    after = trade(range(2019, 2023)) + halved + others
    verdict = judged(store, "bilateral_trade", trade() + others, after)
    assert "The value of 699 in 2023 changes by -50.0%; the limit is 25%." in str(verdict)
    without = trade(range(2019, 2023)) + others
    verdict = judged(store, "bilateral_trade", trade() + others, without)
    assert "It lacks 1 year (699 in 2023)" in str(verdict)


def test_what_lies_with_one_importer_of_several_is_told_as_its_own(store):
    """Also what is judged over all of them: rows, countries, codes and the whole value."""
    others = trade(reporter="392", partners=range(1, 31)) + trade(reporter="36", value=1e5)
    tiny = trade(partners=range(40, 60), value=1e3)
    verdict = judged(store, "bilateral_trade", trade() + others + tiny, trade() + others)
    assert {importer: [*wrong] for importer, wrong in verdict.stay.items()} == {
        "699": [
            "699: It has 50.0% fewer rows; the limit is 5%.",
            "699: It lacks 20 countries (40, 41, 42, 43, 44); the limit is 5.",
        ]
    }
    halved = [row | {"primaryValue": 1e6} for row in trade()]
    verdict = judged(store, "bilateral_trade", trade() + others, halved + others)
    assert [*verdict.stay] == ["699"]
    verdict = judged(store, "bilateral_trade", trade() + others[:300], halved)
    assert not verdict.is_accepted and verdict.stay == {}  # all of them


def test_other_importers_may_have_another_window(store):
    """A list becomes 'all', which has another latest year than the list had."""
    moves = Scope(moves=True)
    more = trade(range(2020, 2025), reporter="392") + trade(range(2020, 2025), reporter="36")
    verdict = judged(store, "bilateral_trade", trade(), trade(range(2020, 2024)) + more, moves)
    assert verdict.is_accepted, str(verdict)
    earlier = [row | {"period": row["period"] - 2} for row in more]
    ahead = trade(range(2018, 2023)) + earlier
    verdict = judged(store, "bilateral_trade", trade(), ahead, moves)
    assert verdict.is_accepted, str(verdict)
    verdict = judged(store, "bilateral_trade", trade() + more, ahead, moves)
    assert not verdict.is_accepted


def test_a_window_that_moves_may_lose_a_year_for_each_new_one(store):
    moves = Scope(moves=True)
    verdict = judged(store, "bilateral_trade", trade(), trade(range(2020, 2025)), moves)
    assert verdict.is_accepted, str(verdict)
    verdict = judged(store, "bilateral_trade", trade(), trade(range(2021, 2025)), moves)
    assert "It lacks 1 year (699 in 2020)" in str(verdict)
    verdict = judged(store, "bilateral_trade", trade(), trade(range(2020, 2024)), moves)
    assert "It lacks 1 year (699 in 2019)" in str(verdict)


def test_a_code_that_is_empty_in_one_year_only_is_seen(store):
    small = trade(codes=("750300",), value=5e5)
    lost = [row for row in trade() + small if (row["period"], row["cmdCode"]) != (2023, "750300")]
    verdict = judged(store, "bilateral_trade", trade() + small, lost)
    assert "699 in 2023 has no row of 750300, of 2.4% of its value; the limit is 2%." in str(
        verdict
    )


def test_the_first_snapshot_and_one_of_another_layout_are_accepted(store):
    first = snapshot(store, "bilateral_trade", trade())
    assert "no sound snapshot in use" in str(assess(store, first))
    baci = [{"t": "2022", "i": "36", "j": "699", "k": 260300, "v": "1.5", "q": "2"}]
    verdict = judged(store, "bilateral_trade", baci, trade())
    assert verdict.is_accepted
    assert "another provider's layout" in str(verdict)
    assert not judged(store, "bilateral_trade", baci, [baci[0] | {"v": "15"}]).is_accepted


class Source:
    """A provider whose rows a test may change, or that fails; what happens `meanwhile`."""

    source, stand_in = SimpleNamespace(tables={}, provider="A publisher"), None

    def __init__(self, monkeypatch: pytest.MonkeyPatch, store: SnapshotStore) -> None:
        self.rows, self.store, self.error = trade(), store, ""
        self.meanwhile: Callable[[], None] = lambda: None
        monkeypatch.setattr(ingest, "providers", lambda _: {"bilateral_trade": self})

    def ingest(self, store: SnapshotStore):
        self.meanwhile()
        if self.error:
            raise SourceError(self.error)
        before = store.list("bilateral_trade")
        made = snapshot(store, "bilateral_trade", self.rows)
        return made, made.snapshot_id not in before


@pytest.fixture
def live(tmp_path) -> Settings:
    return Settings(profile="live", warehouse_dir=tmp_path)


@pytest.fixture
def source(monkeypatch, store) -> Source:
    return Source(monkeypatch, store)


def take(live: Settings, store: SnapshotStore):
    made = ingest.ingest_dataset(live, "bilateral_trade", store)
    store.use(made.snapshot)
    return made


def test_a_live_source_that_fails_or_brings_too_little_leaves_the_last_one_in_use(
    live, store, source
):
    first = take(live, store)
    assert (first.outcome, first.is_stale) == ("new", False)
    assert take(live, store).outcome == "unchanged"

    source.error = "The service is down."
    failed = take(live, store)
    assert (failed.outcome, failed.snapshot, failed.is_stale) == ("failed", first.snapshot, True)
    assert "The service is down." in failed.message
    assert first.snapshot.retrieved_at in failed.message

    source.error, source.rows = "", trade(partners=range(1, 5))
    refused = take(live, store)
    assert (refused.outcome, refused.snapshot) == ("refused", first.snapshot)
    assert "fewer rows" in refused.message
    assert len(store.list("bilateral_trade")) == 2  # kept, not used

    source.rows = trade(value=1.01e7)
    assert take(live, store).outcome == "new"


def test_a_snapshot_that_is_pinned_while_the_source_is_asked_is_the_one_in_use(live, store, source):
    chosen = take(live, store).snapshot
    source.rows = trade(value=1.01e7)
    source.meanwhile = lambda: store.use(chosen, pin=True)
    made = take(live, store)
    assert (made.outcome, made.snapshot) == ("pinned", chosen)
    assert store.current_id("bilateral_trade") == chosen.snapshot_id

    # As the pointer was left by a refresh that knew nothing of the pin.
    (store.root / "bilateral_trade" / "CURRENT").write_text(made_of(store, chosen))
    assert take(live, store).snapshot == chosen
    assert store.current_id("bilateral_trade") == chosen.snapshot_id


def made_of(store: SnapshotStore, other) -> str:
    (found,) = [i for i in store.list("bilateral_trade") if i != other.snapshot_id]
    return found


def test_a_source_that_fails_does_not_go_on_with_the_snapshot_of_another_profile(
    live, store, source
):
    store.use(snapshot(store, "bilateral_trade", trade()))
    source.error = "The service is down."
    source.source = SimpleNamespace(tables={"more": {}}, provider="A publisher")
    with pytest.raises(SourceError, match=r"another profile's\. The service is down\."):
        take(live, store)
    source.source = SimpleNamespace(tables={}, provider="UN Comtrade")
    with pytest.raises(SourceError, match="of A publisher, is another profile's"):
        take(live, store)


def test_a_first_fetch_that_fails_is_an_error(live, store, source):
    source.error = "The service is down."
    with pytest.raises(SourceError, match="down"):
        take(live, store)


def run(tmp_path, *arguments: str):
    return CliRunner().invoke(
        app,
        ["snapshots", *arguments],
        env={"MINERALS_WAREHOUSE_DIR": str(tmp_path), "COLUMNS": "160"},
    )


def test_an_operator_sees_compares_accepts_pins_and_rolls_back(tmp_path, live, store, source):
    first = take(live, store).snapshot
    source.rows = trade(partners=range(1, 5))
    refused_id = take(live, store).verdict.candidate

    listed = run(tmp_path, "list").stdout
    states = {line.split()[1]: line.split()[2] for line in listed.splitlines()[1:]}
    assert states[first.snapshot_id] == "in"
    assert states[refused_id] == "refused"

    shown = run(tmp_path, "diff", "bilateral_trade", refused_id[:6]).stdout
    assert "80.0% fewer rows" in shown
    assert "deleted 160" in shown

    run(tmp_path, "use", "bilateral_trade", refused_id)
    assert store.current("bilateral_trade").snapshot_id == refused_id
    source.rows = trade(value=1.03e7)
    assert take(live, store).outcome == "pinned"

    run(tmp_path, "use", "bilateral_trade", first.snapshot_id)  # roll back
    assert take(live, store).snapshot == first
    run(tmp_path, "use", "bilateral_trade", "latest")
    assert take(live, store).outcome == "new"


def test_verify_hashes_tables_and_answers_again(tmp_path, live, store, source):
    made = take(live, store).snapshot
    sound = run(tmp_path, "verify")
    assert sound.exit_code == 0
    assert "2 files as their sidecars state, 0 snapshots damaged" in sound.stdout
    (made.path / ORIGINALS / "answer.json").write_text("[1]")
    damaged = run(tmp_path, "verify")
    assert damaged.exit_code == 1
    assert "answer.json does not have the sha256" in damaged.stdout


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path, store):
    for arguments, words in ((("trade", "abc"), "bilateral_trade"), (("production", "abc"), "abc")):
        refused = run(tmp_path, "use", *arguments)
        assert refused.exit_code == 1
        assert words in refused.stderr and "Traceback" not in refused.stderr
