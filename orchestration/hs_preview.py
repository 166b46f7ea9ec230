"""What the mapping in the working tree would do to the ranks, computed on a copy.

Belongs here: the copy of the warehouse, dbt on it, and the same estimation and ranking as in a
refresh. Does not belong here: what differs (`minerals.mapping.moves`), or the tables on the
terminal. Nothing is written to the warehouse or the releases; the copy is gone afterwards, whatever
happens.
"""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pandas as pd

from minerals.errors import ReleaseError, WarehouseError
from minerals.mapping import moves
from minerals.mapping.rules import MappingSeeds
from minerals.mapping.seeds import MAP, OUT_OF_SCOPE
from minerals.releases import ReleaseStore
from minerals.settings import Settings, child_environment
from minerals.sources import DATASETS
from orchestration.resources import DBT, DBT_PROJECT_DIR, Warehouse, dbt_variables

OnStage = Callable[[str], None]
_RELEASE_SETTINGS = (
    "importers",
    "first_year",
    "last_year",
    "other_asia_is_taiwan",
    "estimate_missing_quantities",
    "top_k",
    "forward_years",
    "simulation_draws",
    "bootstrap_replications",
    "seed",
)
_DBT_STEP = re.compile(r"(\d+) of (\d+) (?:OK|PASS|SUCCESS|WARN)\b")
_DBT_FAULT = re.compile(r"\b(?:ERROR|FAIL|Failure|Error)\b")


@dataclass(frozen=True)
class Preview:
    """The codes that changed, and what moved against which release. `notes` say what else than the
    mapping may be behind a move."""

    release_id: str
    top_k: int
    codes: list[moves.CodeChange]
    minerals: pd.DataFrame
    suppliers: pd.DataFrame
    notes: list[str] = field(default_factory=list)


def preview(settings: Settings, seeds: MappingSeeds, on_stage: OnStage) -> Preview:
    """Compute the ranks under `seeds` and compare them with the served release.

    Settings that shape the ranks are those of the release, so that only the mapping differs. Raises
    ReleaseError without a release, WarehouseError when dbt fails: then a refresh would fail too.
    """
    folder, manifest = _served(settings)
    settings, notes = _as_released(settings, manifest)
    before = moves.Rankings(
        pd.read_parquet(folder / "ranking_forward.parquet"),
        pd.read_parquet(folder / "ranking_annual.parquet"),
    )
    with _ends_on_sigterm(), TemporaryDirectory(prefix="minerals-preview-") as temporary:
        copy = Path(temporary) / "warehouse.duckdb"
        on_stage("copying the warehouse (waits for a refresh that is running)")
        with Warehouse(database=str(settings.database)).writing():
            shutil.copyfile(settings.database, copy)
        codes = moves.code_changes(
            _loaded_meanings(copy), moves.meanings(seeds.mapped, seeds.out_of_scope)
        )
        after = before
        if codes:
            _run_dbt(settings, seeds, Path(temporary), copy, on_stage)
            after = _rank(settings, copy, on_stage)
    return Preview(
        release_id=str(manifest["release_id"]),
        top_k=settings.top_k,
        codes=codes,
        minerals=moves.mineral_changes(before, after, settings.top_k),
        suppliers=moves.supplier_moves(before, after),
        notes=notes,
    )


def _served(settings: Settings) -> tuple[Path, dict[str, Any]]:
    store = ReleaseStore(settings.releases_dir, settings.serving_database)
    folder, manifest = store.current(), store.manifest()
    if folder is None or not manifest or not settings.database.exists():
        raise ReleaseError(
            f"There is no release under {settings.warehouse_dir} to compare with: "
            "run `make refresh` first."
        )
    return folder, manifest


def _as_released(settings: Settings, manifest: dict[str, Any]) -> tuple[Settings, list[str]]:
    """The settings of the release where they shape ranks, with notes on what differs today."""
    notes = []
    released = {n: v for n, v in manifest.get("settings", {}).items() if n in _RELEASE_SETTINGS}
    released["importers"] = tuple(released.get("importers", settings.importers))
    for name, value in released.items():
        if getattr(settings, name) != value:
            shown = ", ".join(value) if isinstance(value, tuple) else value
            notes.append(f"{name} is {shown} here, as in the release, not as set now")
    for snapshot in manifest.get("snapshots", []):
        dataset = snapshot["dataset"]
        pointer = settings.raw_dir / dataset / "CURRENT"
        if dataset in DATASETS and pointer.exists():
            in_use = pointer.read_text(encoding="utf-8").strip()
            if in_use != snapshot["snapshot_id"]:
                notes.append(f"{dataset} was ingested anew since the release: it may move ranks")
    return settings.model_copy(update=released), notes


def _loaded_meanings(database: Path) -> dict[tuple[str, str], str]:
    """What the codes are in the warehouse, as of its last refresh."""
    with duckdb.connect(str(database), read_only=True) as copy:
        mapped = copy.execute(
            "select hs_revision, hs_code, mineral || ' ' || category from seeds.hs_mineral_map"
        ).fetchall()
        outside = copy.execute("select hs_revision, hs_code from seeds.hs_out_of_scope").fetchall()
    return {(r, c): m for r, c, m in mapped} | dict.fromkeys(outside, moves.OUTSIDE)


def _run_dbt(
    settings: Settings, seeds: MappingSeeds, folder: Path, database: Path, on_stage: OnStage
) -> None:
    """Load the changed seeds and build what follows from them, on the copy, in a copy of the dbt
    project: an edit made meanwhile, or a refresh, does not get in the way."""
    project = folder / "dbt_project"
    ignored = shutil.ignore_patterns("target", "logs", ".*")
    shutil.copytree(DBT_PROJECT_DIR, project, ignore=ignored)
    for seed, name in ((seeds.mapped, MAP), (seeds.out_of_scope, OUT_OF_SCOPE)):
        shutil.copyfile(seed.file, project / "seeds" / name)
    variables = {**dbt_variables(settings), "warehouse_path": str(database)}
    command = [DBT, "--no-use-colors", "--log-level-file", "none", "build"]
    command += ["--select", "hs_mineral_map+", "hs_out_of_scope+"]
    command += ["--exclude-resource-type", "unit_test"]
    command += ["--project-dir", str(project), "--profiles-dir", str(project)]
    command += ["--vars", json.dumps(variables)]
    on_stage("conforming the trade under the changed mapping (dbt)")
    lines = []
    with subprocess.Popen(
        command,
        cwd=project,
        env=child_environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as dbt:
        try:
            for line in dbt.stdout or ():
                lines.append(line.rstrip())
                step = _DBT_STEP.search(line)
                if step:
                    on_stage(f"conforming the trade (dbt, step {step[1]} of {step[2]})")
        except BaseException:
            dbt.terminate()
            raise
    if dbt.returncode != 0:
        faults = [line for line in lines if _DBT_FAULT.search(line)] or lines
        raise WarehouseError(
            "dbt refuses the changed mapping, and would in a refresh:\n  "
            + "\n  ".join(faults[:20])
        )


def _rank(settings: Settings, database: Path, on_stage: OnStage) -> moves.Rankings:
    """Estimate and rank as the assets `ppml` and `rankings` do, without saving anything."""
    from minerals.ppml import tables
    from minerals.sourcing.ranking import annual_ranking, forward_ranking

    warehouse = Warehouse(database=str(database))
    panel = warehouse.frame("marts.import_panel")
    published = warehouse.frame("seeds.published_ppml_coefficients")
    on_stage("estimating the models")
    estimates = [
        tables.estimate_categories(panel, iso3, settings.choices) for iso3 in settings.importers
    ]
    coefficients = [estimate.coefficients for estimate in estimates]
    coefficients += [tables.published_coefficients_frame(i, published) for i in settings.importers]
    fit = pd.concat([estimate.fit for estimate in estimates], ignore_index=True)
    covariance = pd.concat([estimate.covariance for estimate in estimates], ignore_index=True)
    publishable = tables.publishable_coefficients(pd.concat(coefficients, ignore_index=True), fit)
    on_stage("ranking the suppliers")
    forward = forward_ranking(
        panel,
        publishable,
        covariance,
        top_k=settings.top_k,
        draws=settings.simulation_draws,
        seed=settings.seed,
        forward_years=settings.forward_years,
    )
    return moves.Rankings(forward, annual_ranking(panel, publishable, settings.top_k))


@contextmanager
def _ends_on_sigterm() -> Iterator[None]:
    """Let a SIGTERM unwind as Ctrl-C does, so that the copy is removed."""

    def unwind(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    former = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
