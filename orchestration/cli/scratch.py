"""A refresh into a scratch warehouse: a release made again, as it was or with another mapping.

The served warehouse is only read. How two releases are compared is in `minerals/releases`.
"""

import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from minerals.errors import ReleaseError
from minerals.mapping.seeds import MAP, OUT_OF_SCOPE
from minerals.settings import Settings
from orchestration.cli import common
from orchestration.cli.progress import progress
from orchestration.recovery import scratch_folder


@contextmanager
def refresh(
    settings: Settings,
    manifest: dict[str, Any],
    console: Console,
    seeds_dir: Path | None = None,
    into: Path | None = None,
) -> Iterator[Path]:
    """Refresh from the snapshots, settings and seed of a release's manifest, in a warehouse of its
    own; the block gets the folder of the release made there.

    `seeds_dir` holds another mapping of HS codes. `into`, empty or absent, is kept; without it the
    warehouse is in a hidden folder of the served one, removed at the end of the block, or at the
    next start after a kill. Raises ReleaseError when
    a snapshot is not the release's or the run fails.
    """
    from orchestration import run

    if into is not None and into.exists() and any(into.iterdir()):
        raise ReleaseError(f"{into} is not empty: name an empty folder, or one to be made.")
    with ExitStack() as stack:
        stack.enter_context(_ends_on_sigterm())
        if into is None:
            into = stack.enter_context(scratch_folder(settings.warehouse_dir))
        same = _settings_of(settings, manifest, into)
        if seeds_dir is not None:
            # A copy of the project: an edit made meanwhile, or a refresh of the served warehouse,
            # does not interfere.
            project, ignored = into / "dbt_project", shutil.ignore_patterns("logs", ".*", "*.log")
            shutil.copytree(settings.dbt_project_dir, project, ignore=ignored)
            for name in (MAP, OUT_OF_SCOPE):
                shutil.copyfile(seeds_dir / name, project / "seeds" / name)
            same = same.model_copy(update={"dbt_project_dir": project})
        _link_snapshots(settings, manifest, same)
        with progress(console) as on_step:
            result = run.refresh(same, on_step)
        if not result.succeeded:
            settings.log_dir.mkdir(parents=True, exist_ok=True)
            log = shutil.copy(result.log_file, settings.log_dir)
            causes = "\n  ".join(result.problems.failures) or "for the reasons in its log"
            raise ReleaseError(f"The refresh into {into} failed:\n  {causes}\nIts log is {log}.")
        release = common.releases(same).current()
        assert release is not None
        yield release


def notes(settings: Settings, manifest: dict[str, Any]) -> list[str]:
    """What is not as it was when the release was made."""
    from minerals.releases.reproduction import code_version
    from minerals.sources.window import settled

    released, now = manifest["settings"], settled(settings).recorded
    found = [
        f"{name} is {released[name]} here, as in the release; it is set to {now[name]} now"
        for name in released.keys() & now.keys()
        if released[name] != now[name]
    ]
    if manifest["code_version"] != code_version():
        found.append(
            f"The release was made by code {manifest['code_version']}, this is {code_version()}: "
            "differences may come from the code."
        )
    if manifest.get("reported_trade_snapshot_id") and settings.comtrade_file is None:
        found.append(
            "The release was reconciled with a file of UN Comtrade, and MINERALS_COMTRADE_FILE is "
            "not set: trade_reconciliation is empty."
        )
    return sorted(found)


def _settings_of(settings: Settings, manifest: dict[str, Any], into: Path) -> Settings:
    """The settings of the release, for the warehouse `into`."""
    is_reconciled = bool(manifest.get("reported_trade_snapshot_id"))
    return Settings(
        **{
            **settings.model_dump(exclude={"comtrade_api_key"}),
            **manifest["settings"],
            "as_of": manifest.get("as_of") or manifest["created_at"][:10],
            "warehouse_dir": into,
            "alert_webhook_url": None,
            # A service's own run history would mix the checks of two warehouses.
            "dagster_config": Settings.model_fields["dagster_config"].default,
            "comtrade_file": settings.comtrade_file if is_reconciled else None,
        }
    )


def _link_snapshots(settings: Settings, manifest: dict[str, Any], scratch: Settings) -> None:
    """Let the scratch warehouse use the snapshots of the release, and no others, by links."""
    lender, borrower = common.snapshots(settings), common.snapshots(scratch)
    for entry in manifest["snapshots"]:
        dataset, snapshot_id = entry["dataset"], entry["snapshot_id"]
        snapshot = lender.verify(dataset, snapshot_id)
        if snapshot.sha256 != entry["sha256"]:
            raise ReleaseError(
                f"Snapshot {snapshot_id} of {dataset} has other bytes than the release was made "
                "from, so the release cannot be made again."
            )
        link = scratch.raw_dir / dataset / snapshot_id
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(snapshot.path.resolve(), target_is_directory=True)
        borrower.use(borrower.verify(dataset, snapshot_id), pin=True)


@contextmanager
def _ends_on_sigterm() -> Iterator[None]:
    """Let a SIGTERM unwind as Ctrl-C does, so that a temporary warehouse is removed."""
    former = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
