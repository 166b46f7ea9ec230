"""Making a release again from its manifest, in a warehouse of its own, and comparing the two.

Belongs here: which snapshots and settings the manifest names, and the run. How two releases are
compared is in `minerals/releases/reproduction.py`. The warehouse that is served is only read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minerals.errors import ReleaseError
from minerals.releases import ReleaseStore
from minerals.releases.reproduction import IDENTICAL, code_version, differences
from minerals.settings import Settings
from minerals.sources.snapshots import SnapshotStore
from orchestration import run


@dataclass(frozen=True)
class Rebuilt:
    """`marts` tells for each mart whether it is identical, or where it differs. `warnings` say what
    was not as it was when the release was made."""

    release: Path
    marts: dict[str, str]
    warnings: list[str]

    @property
    def is_identical(self) -> bool:
        return set(self.marts.values()) == {IDENTICAL}


def rebuild(settings: Settings, release_id: str, into: Path, on_step: run.StepCallback) -> Rebuilt:
    """Run the pipeline on the snapshots, settings and seed of a release, with `into` (empty) as the
    warehouse, and compare what it publishes there.

    Raises ReleaseError when a snapshot is no longer there or damaged, or the run fails.
    """
    store = ReleaseStore(settings.releases_dir, settings.serving_database)
    folder = store.folder(release_id)
    manifest = store.manifest(release_id) or {}
    if into.exists() and any(into.iterdir()):
        raise ReleaseError(f"{into} is not empty: name a folder that is, or that is not there.")
    _lend_snapshots(SnapshotStore(settings.raw_dir), manifest, into / "raw")
    same = Settings(
        **{
            **settings.model_dump(exclude={"comtrade_api_key"}),
            **manifest["settings"],
            "warehouse_dir": into,
            # A service's own history would mix the checks of two warehouses.
            "dagster_config": Settings.model_fields["dagster_config"].default,
            "comtrade_file": _comtrade_file(settings, manifest),
        }
    )
    result = run.refresh(same, on_step)
    if not result.succeeded:
        raise ReleaseError(
            f"The run that was to make {release_id} again failed: "
            f"{'; '.join(result.failures) or 'for reasons in its log'}. "
            f"Its log is {result.log_file}."
        )
    again = ReleaseStore(same.releases_dir, same.serving_database).current()
    assert again is not None
    return Rebuilt(again, differences(folder, again), _warnings(settings, manifest))


def _lend_snapshots(store: SnapshotStore, manifest: dict[str, Any], raw: Path) -> None:
    """Let another warehouse use these snapshots, and no others, by links to them."""
    lent = SnapshotStore(raw)
    for entry in manifest["snapshots"]:
        dataset, snapshot_id = entry["dataset"], entry["snapshot_id"]
        snapshot = store.verify(dataset, snapshot_id)
        if snapshot.sha256 != entry["sha256"]:
            raise ReleaseError(
                f"Snapshot {snapshot_id} of {dataset} is of other bytes than the release was made "
                "of, so it cannot be made again."
            )
        link = raw / dataset / snapshot_id
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(snapshot.path.resolve(), target_is_directory=True)
        lent.pin(lent.verify(dataset, snapshot_id))


def _comtrade_file(settings: Settings, manifest: dict[str, Any]) -> Path | None:
    return settings.comtrade_file if manifest.get("reported_trade_snapshot_id") else None


def _warnings(settings: Settings, manifest: dict[str, Any]) -> list[str]:
    warnings = []
    made_by = manifest["code_version"]
    if made_by != code_version():
        warnings.append(
            f"The release was made by code {made_by}, and again by {code_version()}: check out the "
            "code of then to compare like with like."
        )
    if manifest.get("reported_trade_snapshot_id") and settings.comtrade_file is None:
        warnings.append(
            "The release was reconciled with a file of UN Comtrade, and MINERALS_COMTRADE_FILE is "
            "not set: trade_reconciliation is empty."
        )
    return warnings
