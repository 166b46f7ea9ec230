"""The years of the panel in the live profile: unless set, the latest five that trade and production
both hold.

They follow from the snapshots in use, so that a new year moves the window once both sources have
brought it, and a source that fails leaves it where it is. A year of trade counts when at least half
of the importers have reported it.
"""

from collections.abc import Collection, Mapping

import pyarrow.compute as pc
import pyarrow.parquet as pq

from minerals.errors import SnapshotDamagedError
from minerals.settings import Settings
from minerals.sources.snapshots import Snapshot, SnapshotStore

LENGTH = 5
_CHOSEN = frozenset({"first_year", "last_year"})


def is_open(settings: Settings) -> bool:
    """Whether the sources decide about the years: live, and no year is set."""
    return settings.profile == "live" and not _CHOSEN & settings.model_fields_set


def latest(
    trade: Mapping[str, Collection[int]], production: Collection[int] | None = None
) -> tuple[int, ...]:
    """The latest consecutive years, five at most, that half of the importers (`trade`: the years of
    each) and the production have; of trade alone when no production is known. Empty if none."""
    years = {year for held in trade.values() for year in held}
    common = {
        year
        for year in years
        if 2 * sum(year in held for held in trade.values()) >= len(trade)
        and (production is None or year in production)
    }
    window: list[int] = []
    while common and len(window) < LENGTH and (year := max(common) - len(window)) in common:
        window.insert(0, year)
    return tuple(window)


def settled(settings: Settings) -> Settings:
    """The settings with the window of the snapshots in use, if the sources decide and there are
    snapshots of both; else as they are."""
    if not is_open(settings):
        return settings
    store = SnapshotStore(settings.raw_dir)
    production = production_years(store)
    trade = _in_use(store, "bilateral_trade")
    years = latest(trade_years(trade), production) if trade and production else ()
    if not years:
        return settings
    return settings.model_copy(update={"first_year": years[0], "last_year": years[-1]})


def trade_years(snapshot: Snapshot) -> dict[str, set[int]]:
    """The years that each reporter has rows of; none for a snapshot of another layout."""
    file = snapshot.parquet("bilateral_trade")
    columns = ["reporterCode", "period"]
    if not set(columns) <= set(pq.read_schema(file).names):
        return {}
    found: dict[str, set[int]] = {}
    for row in pq.read_table(file, columns=columns).group_by(columns).aggregate([]).to_pylist():
        found.setdefault(row["reporterCode"], set()).add(row["period"])
    return found


def production_years(store: SnapshotStore) -> set[int] | None:
    """The years that the production in use has figures of; None when there is none."""
    snapshot = _in_use(store, "production")
    if snapshot is None:
        return None
    rows = pq.read_table(snapshot.parquet("production"), columns=["year", "quantity"])
    return set(rows.filter(pc.is_valid(rows["quantity"]))["year"].unique().to_pylist())


def _in_use(store: SnapshotStore, dataset: str) -> Snapshot | None:
    snapshot_id = store.current_id(dataset)
    try:
        return store.read(dataset, snapshot_id) if snapshot_id else None
    except SnapshotDamagedError:
        return None
