"""Bring one dataset up to date: ask its source, judge what came, and say which snapshot to use.

In the live profile a source that fails, or whose data are outside of the tolerances, leaves the
last accepted snapshot in use, and the reason is reported with it. Where the data of some importers
alone are outside, these keep their rows of that snapshot, and the others take the new ones. The
bundled profile has pinned files, so a failure there is an error.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from minerals.errors import SnapshotDamagedError, SourceError
from minerals.names import EVERY_IMPORTER
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
    candidate, stay = snapshot, dict[str, Sequence[str]]()
    # A reason may show only once the others are held back, so more than once; each round adds one.
    while not verdict.is_accepted and verdict.stay.keys() - stay.keys():
        stay = verdict.stay | stay
        if 2 * len(stay) > verdict.n_importers:
            break
        held_back = _with_rows_in_use(settings, store.current(dataset), candidate, stay)
        if held_back is None:
            break
        snapshot, is_new = replace(provider, fetch=partial(replace, held_back)).ingest(store)
        outcome, verdict = "new" if is_new else "unchanged", assess(store, snapshot, scope)
    if verdict.is_accepted:
        return Ingested(snapshot, outcome, str(verdict), verdict)
    return Ingested(store.current(dataset), "refused", str(verdict), verdict)


def _with_rows_in_use(
    settings: Settings, in_use: Snapshot, candidate: Snapshot, stay: Mapping[str, Sequence[str]]
) -> Fetched | None:
    """The candidate, but with the rows in use of the importers that it may not replace (`stay`: why
    not), of the candidate's years. None where that cannot be: the layouts differ, a named importer
    has no row of these years in use, or the years of the panel would be others."""
    if in_use.layout != candidate.layout:
        return None
    dataset, is_open = candidate.dataset, window.is_open(settings)
    years, before = window.trade_years(candidate), window.trade_years(in_use)
    first = min(year for held in years.values() for year in held)
    since = {i: first if max(before[i], default=0) >= first else 0 for i in stay if i in before}
    if settings.importers != (EVERY_IMPORTER,) and not all(since.get(i) for i in stay):
        return None
    composed = years | {i: {y for y in before[i] if y >= since[i]} for i in since}
    production = window.production_years(SnapshotStore(settings.raw_dir))
    if is_open and window.latest(composed, production) != window.latest(years, production):
        return None

    def rows(table: str) -> tuple[pa.Table, pa.Table]:
        new, old = (pq.read_table(s.parquet(table)) for s in (candidate, in_use))
        kept = [
            old.filter(
                pc.and_(pc.equal(old["reporterCode"], i), pc.greater_equal(old["period"], year))
            )
            for i, year in sorted(since.items())
        ]
        others = pc.invert(pc.is_in(new["reporterCode"], pa.array([*stay], pa.string())))
        return new.filter(others), pa.concat_tables(kept) if kept else old.slice(0, 0)

    def answers(snapshot: Snapshot, stays: bool) -> list[tuple[Original, Path]]:
        found = [(o, snapshot.path / ORIGINALS / o.name) for o in snapshot.originals]
        return [
            (original, file)
            for original, file in found
            if (original.params["reporterCode"] in stay) is stays and file.exists()
        ]

    names = [table.name for table in candidate.tables]
    kept = [rows(name)[1].to_pylist() for name in names]
    content = json.dumps([candidate.sha256, *kept])
    countries = seeds.aliases(settings.seeds_dir, "comtrade")
    return Fetched(
        hashlib.sha256(content.encode()).hexdigest(),
        lambda: {name: pa.concat_tables(rows(name)) for name in names},
        [*answers(candidate, stays=False), *answers(in_use, stays=True)],
        [
            *candidate.notes,
            *(
                f"{countries.get(importer, 'Reporter')} ({importer}) keeps the rows in use, and "
                f"the others do not wait for it. {' '.join(reasons)} `minerals snapshots use "
                f"{dataset} {candidate.snapshot_id}` takes what came, of all."
                for importer, reasons in sorted(stay.items())
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
