"""Bringing one dataset up to date: ask its source, judge what came, and say which snapshot to use.

Belongs here: what happens when a source fails or brings something strange. In the live profile the
last accepted snapshot then goes on serving, and the reason travels with it; the bundled profile has
pinned files, so there a failure is a failure. Loading and publishing belong to the orchestration.
"""

from dataclasses import dataclass
from typing import Literal

from minerals.errors import SnapshotDamagedError, SourceError
from minerals.settings import Settings
from minerals.sources import providers, seeds
from minerals.sources.acceptance import Asked, Verdict, assess
from minerals.sources.provider import Provider
from minerals.sources.snapshots import Snapshot, SnapshotStore
from minerals.sources.world_bank import years_to_fetch

Outcome = Literal["new", "unchanged", "pinned", "refused", "failed"]


@dataclass(frozen=True)
class Intake:
    """The snapshot to use now, how it came to that, and what there is to say of it.

    `refused` and `failed` mean that the snapshot is an older one than the source could offer.
    """

    snapshot: Snapshot
    outcome: Outcome
    message: str
    verdict: Verdict | None = None

    @property
    def is_stale(self) -> bool:
        return self.outcome in {"refused", "failed"}

    @property
    def headline(self) -> str:
        """The message in one line: why the snapshot in use is not what the source offers."""
        if self.verdict is not None and self.outcome == "refused":
            reasons = "; ".join(self.verdict.reasons)
            return f"snapshot {self.verdict.candidate} is kept and not used: {reasons}"
        return self.message.partition("\n")[0]


def take_in(settings: Settings, dataset: str, store: SnapshotStore) -> Intake:
    """Ask the source of a dataset. The caller makes the returned snapshot the one in use, unless
    one is pinned meanwhile.

    Raises SourceError when the source fails and there is no sound snapshot of this profile to go on
    with, and always in the bundled profile.
    """
    if pinned := store.pinned_id(dataset):
        return _pinned(dataset, store, pinned)
    intake = _ask(settings, dataset, store)
    # Asking takes minutes to hours: an operator may have chosen in between.
    pinned = store.pinned_id(dataset)
    return _pinned(dataset, store, pinned) if pinned else intake


def _pinned(dataset: str, store: SnapshotStore, snapshot_id: str) -> Intake:
    why = "An operator pinned it; `minerals snapshots use` lets refreshes move on."
    return Intake(store.verify(dataset, snapshot_id), "pinned", why)


def _ask(settings: Settings, dataset: str, store: SnapshotStore) -> Intake:
    provider = providers(settings)[dataset]
    if settings.profile == "bundled":
        snapshot, is_new = provider.ingest(store)
        return Intake(snapshot, "new" if is_new else "unchanged", "From the bundle.")
    try:
        snapshot, is_new = provider.ingest(store)
    except SourceError as error:
        return _go_on_without(provider, dataset, store, error)
    verdict = assess(store, snapshot, asked(settings, dataset))
    if verdict.is_accepted:
        outcome: Outcome = "new" if is_new else "unchanged"
        return Intake(snapshot, outcome, str(verdict), verdict)
    return Intake(store.current(dataset), "refused", str(verdict), verdict)


def _go_on_without(
    provider: Provider, dataset: str, store: SnapshotStore, error: SourceError
) -> Intake:
    try:
        last = store.current(dataset)
    except SnapshotDamagedError:
        raise error from None
    missing = {table.name for table in provider.tables} - {table.name for table in last.tables}
    if missing or last.provider != provider.source.provider:
        raise SourceError(
            f"The source failed, and there is no snapshot of it to go on with: the one in use, "
            f"{last.snapshot_id} of {last.provider}, is another profile's. {error}"
        ) from error
    why = f"The source failed, and the last accepted snapshot, of {last.retrieved_at}, goes on: "
    return Intake(last, "failed", f"{why}{error}")


def asked(settings: Settings, dataset: str) -> Asked:
    """The years and importers that the settings ask a dataset for."""
    if dataset == "bilateral_trade":
        codes = [seeds.reporter_code(settings.seeds_dir, i) for i in settings.importers]
        return Asked(years=settings.years, scopes=codes)
    if dataset == "country_indicators":
        return Asked(years=years_to_fetch(settings))
    return Asked()
