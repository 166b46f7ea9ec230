"""Bring one dataset up to date: ask its source, judge what came, and say which snapshot to use.

In the live profile a source that fails, or whose data are outside of the tolerances, leaves the
last accepted snapshot in use, and the reason is reported with it; the bundled profile has pinned
files, so a failure there is an error.
"""

from dataclasses import dataclass, replace
from typing import Literal

from minerals.errors import SnapshotDamagedError, SourceError
from minerals.settings import Settings
from minerals.sources import providers, seeds, window
from minerals.sources.acceptance import Scope, Verdict, assess
from minerals.sources.provider import Provider
from minerals.sources.snapshots import Snapshot, SnapshotStore
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
    verdict = assess(store, snapshot, scope_of(settings, dataset))
    if verdict.is_accepted:
        return Ingested(snapshot, outcome, str(verdict), verdict)
    return Ingested(store.current(dataset), "refused", str(verdict), verdict)


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
        codes = [seeds.reporter_code(settings.seeds_dir, i) for i in settings.importers]
        return Scope(None if moves else settings.years, codes, moves)
    if dataset == "country_indicators":
        return Scope(window.settled(settings).years if moves else years_to_fetch(settings))
    return Scope(moves=moves)
