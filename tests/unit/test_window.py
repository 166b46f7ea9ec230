"""Which years the live profile takes when none are set."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minerals.settings import Settings
from minerals.sources import window
from minerals.sources.snapshots import SnapshotStore

SOURCE = {"provider": "p", "citation": "c", "licence": "l", "url": "https://example.org"}


@pytest.mark.parametrize(
    ("trade", "production", "expected"),
    [
        ({"699": range(2015, 2026)}, range(2020, 2025), (2020, 2021, 2022, 2023, 2024)),
        ({"699": range(2015, 2024)}, range(2018, 2025), (2019, 2020, 2021, 2022, 2023)),
        ({"699": range(2019, 2024)}, range(2020, 2025), (2020, 2021, 2022, 2023)),
        ({"699": range(2015, 2026)}, None, (2021, 2022, 2023, 2024, 2025)),
        # Half of the importers are enough, a third is not.
        ({"699": [2022, 2023], "392": [2022]}, None, (2022, 2023)),
        ({"699": [2022, 2023], "392": [2022], "276": [2022]}, None, (2022,)),
        # A gap ends the window.
        ({"699": [2018, 2019, 2021, 2022]}, None, (2021, 2022)),
        ({"699": [2019]}, [2020], ()),
    ],
)
def test_the_window_is_the_latest_that_trade_and_production_share(trade, production, expected):
    assert window.latest(trade, production) == expected


def hold(store: SnapshotStore, dataset: str, rows: list[dict]) -> None:
    def write(folder: Path) -> dict[str, Path]:
        file = folder / f"{dataset}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), file)
        return {dataset: file}

    made, _ = store.create(dataset, SOURCE, str(rows), "layout", write)
    store.use(made)


def trade(years) -> list[dict]:
    return [{"reporterCode": "699", "period": year} for year in years]


def production(years) -> list[dict]:
    """The year before the first has no figure at all."""
    return [{"year": y, "quantity": 1.0} for y in years] + [
        {"year": years[0] - 1, "quantity": None}
    ]


def years_of(settings: Settings) -> tuple[int, int]:
    settled = window.settled(settings)
    return settled.first_year, settled.last_year


def test_it_follows_the_snapshots_in_use_and_a_setting_goes_before(tmp_path):
    live = Settings(profile="live", warehouse_dir=tmp_path)
    store = SnapshotStore(live.raw_dir)
    assert years_of(live) == (2019, 2023)  # nothing is known yet
    hold(store, "production", production(range(2020, 2025)))
    assert years_of(live) == (2019, 2023)
    hold(store, "bilateral_trade", trade(range(2019, 2024)))
    assert years_of(live) == (2020, 2023)
    hold(store, "bilateral_trade", trade(range(2020, 2025)))
    assert years_of(live) == (2020, 2024)
    for fixed in ({"first_year": 2015}, {"last_year": 2022}, {"profile": "bundled"}):
        settings = Settings(**{"profile": "live", "warehouse_dir": tmp_path, **fixed})
        assert window.settled(settings) is settings
    hold(store, "bilateral_trade", [{"t": "2020", "j": "699"}])  # the bundle's
    assert years_of(live) == (2019, 2023)
