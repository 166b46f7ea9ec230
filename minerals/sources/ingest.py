"""Bring one dataset up to date: ask its source, judge what came, and say which snapshot to use.

In the live profile a source that fails, or whose data are outside of the tolerances, leaves the
last accepted snapshot in use, and the reason is reported with it. Where the data of some importers
alone are outside, these keep their rows of that snapshot, and the others take the new ones. The
bundled profile has pinned files, so a failure there is an error.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from minerals.errors import SnapshotDamagedError, SourceError
from minerals.settings import Settings
from minerals.sources import providers, seeds, window
from minerals.sources.acceptance import Scope, Verdict, assess
from minerals.sources.comtrade import reporters_of
from minerals.sources.provider import Fetched, Provider
from minerals.sources.snapshots import ORIGINALS, Original, Snapshot, SnapshotStore
from minerals.sources.world_bank import years_to_fetch

Outcome = Literal["new", "unchanged", "pinned", "refused", "failed"]


@dataclass(frozen=True)
class Ingested:
    """The snapshot to use now, how it was chosen, and the explanation.

    `refused` and `failed` mean that the snapshot is older than what the source could offer.
    """

    snapshot: Snapshot
    outcome: Outcome
    message: str
    verdict: Verdict | None = None

    @property
    def is_stale(self) -> bool:
        return self.outcome in {"refused", "failed"}

    @property
    def is_whole(self) -> bool:
        """Whether the snapshot is what was asked for: neither old nor with something missing."""
        return not self.is_stale and not self.snapshot.notes

    @property
    def explanation(self) -> str:
        """The message, after what the snapshot notes of itself."""
        return "\n".join([*self.snapshot.notes, self.message])

    @property
    def headline(self) -> str:
        """The message in one line: why the snapshot in use is not what the source offers."""
        if self.verdict is not None and self.outcome == "refused":
            reasons = "; ".join(self.verdict.reasons)
            return f"snapshot {self.verdict.candidate} is kept but not used: {reasons}"
        return self.message.partition("\n")[0]


def ingest_dataset(settings: Settings, dataset: str, store: SnapshotStore) -> Ingested:
    """Ask the source of a dataset. The caller makes the returned snapshot the one in use, unless
    one is pinned meanwhile.

    Raises SourceError when the source fails and there is no sound snapshot of this profile to use
    instead, and always in the bundled profile.
    """
    if pinned := store.pinned_id(dataset):
        return _pinned(dataset, store, pinned)
    ingested = _ask(settings, dataset, store)
    # Asking takes minutes to hours: an operator may have pinned one in between.
    pinned = store.pinned_id(dataset)
    return _pinned(dataset, store, pinned) if pinned else ingested


def _pinned(dataset: str, store: SnapshotStore, snapshot_id: str) -> Ingested:
    why = f"An operator pinned it; `minerals snapshots use {dataset} latest` unpins it."
    return Ingested(store.verify(dataset, snapshot_id), "pinned", why)


def _ask(settings: Settings, dataset: str, store: SnapshotStore) -> Ingested:
    provider = providers(settings)[dataset]
    try:
        snapshot, is_new = provider.ingest(store)
    except SourceError as error:
        if settings.profile == "bundled":
            raise
        return _keep_last(provider, dataset, store, error)
    outcome: Outcome = "new" if is_new else "unchanged"
    if settings.profile == "bundled":
        return Ingested(snapshot, outcome, "From the bundle.")
    scope = scope_of(settings, dataset)
    verdict = assess(store, snapshot, scope)
    if not verdict.is_accepted and verdict.stay:
        in_use = store.current(dataset)
        if in_use.layout == snapshot.layout:
            last = partial(_with_rows_in_use, settings, in_use, snapshot, verdict)
            snapshot, is_new = replace(provider, fetch=last).ingest(store)
            outcome, verdict = "new" if is_new else "unchanged", assess(store, snapshot, scope)
    if verdict.is_accepted:
        return Ingested(snapshot, outcome, str(verdict), verdict)
    return Ingested(store.current(dataset), "refused", str(verdict), verdict)


def _with_rows_in_use(
    settings: Settings, in_use: Snapshot, candidate: Snapshot, verdict: Verdict
) -> Fetched:
    """The candidate, but with the rows in use of the importers that it may not replace."""
    stay = set(verdict.stay)
    years = pq.read_table(candidate.parquet(candidate.dataset))["period"].unique()

    def of(snapshot: Snapshot, table: str, stays: bool) -> pa.Table:
        rows = pq.read_table(snapshot.parquet(table))
        those = pc.is_in(rows["reporterCode"], pa.array(stay))
        return rows.filter(pc.and_(pc.equal(those, stays), pc.is_in(rows["period"], years)))

    def answers(snapshot: Snapshot, stays: bool) -> list[tuple[Original, Path]]:
        return [
            (original, snapshot.path / ORIGINALS / original.name)
            for original in snapshot.originals
            if (original.params["reporterCode"] in stay) is stays
        ]

    names = [table.name for table in candidate.tables]
    kept = {name: of(in_use, name, stays=True) for name in names}
    content = json.dumps([candidate.sha256, *(kept[name].to_pylist() for name in names)])
    countries = seeds.aliases(settings.seeds_dir, "comtrade")
    return Fetched(
        hashlib.sha256(content.encode()).hexdigest(),
        lambda: {
            name: pa.concat_tables([of(candidate, name, stays=False), kept[name]]) for name in names
        },
        [*answers(candidate, stays=False), *answers(in_use, stays=True)],
        [
            *candidate.notes,
            *(
                f"{countries.get(importer, 'Reporter')} ({importer}) keeps the rows in use, and "
                f"the others do not wait for it. {' '.join(reasons)}"
                for importer, reasons in verdict.of_importers.items()
            ),
        ],
    )


def _keep_last(
    provider: Provider, dataset: str, store: SnapshotStore, error: SourceError
) -> Ingested:
    """The snapshot in use, although the source failed. Raises when it cannot serve this profile."""
    try:
        last = store.current(dataset)
    except SnapshotDamagedError:
        if provider.stand_in is None:
            raise error from None
        snapshot, _ = replace(provider, fetch=provider.stand_in).ingest(store)
        why = "The source failed, and there is no snapshot of it: "
        return Ingested(snapshot, "failed", f"{why}{error}")
    missing = set(provider.source.tables) - {table.name for table in last.tables}
    if missing or last.provider != provider.source.provider:
        raise SourceError(
            "The source failed, and no snapshot of it can be used instead: the one in use, "
            f"{last.snapshot_id} of {last.provider}, is another profile's. {error}"
        ) from error
    why = f"The source failed; the last accepted snapshot, of {last.retrieved_at}, stays in use: "
    return Ingested(last, "failed", f"{why}{error}")


def scope_of(settings: Settings, dataset: str) -> Scope:
    """The years and importers that the settings ask a dataset for."""
    moves = window.is_open(settings)
    if dataset == "bilateral_trade":
        return Scope(None if moves else settings.years, reporters_of(settings), moves)
    if dataset == "country_indicators":
        return Scope(window.settled(settings).years if moves else years_to_fetch(settings))
    return Scope(moves=moves)
