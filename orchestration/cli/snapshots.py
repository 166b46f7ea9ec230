"""`minerals snapshots` and `minerals backfill`: the raw data, as the sources gave them."""

import json
import logging
import re
from typing import TYPE_CHECKING, Annotated

import typer

from minerals.errors import SnapshotDamagedError, SourceError
from orchestration.cli import common
from orchestration.cli.names import COUNTRIES, known, known_country

if TYPE_CHECKING:
    from minerals.sources.snapshots import Snapshot, SnapshotStore

app = typer.Typer()
snapshots = typer.Typer(
    help="The raw snapshots: list, compare, pin, roll back, verify.", no_args_is_help=True
)
app.add_typer(snapshots, name="snapshots")
Dataset = Annotated[str, typer.Argument(help="bilateral_trade, production and so on.")]
LATEST = "latest"


def _dataset(name: str) -> str:
    from minerals.sources import DATASETS

    return known("dataset", name, DATASETS)


def _find(store: "SnapshotStore", dataset: str, beginning: str) -> "Snapshot":
    name = common.by_beginning(f"snapshot of {dataset}", beginning, store.list(dataset))
    return store.verify(dataset, name)


@snapshots.command("list")
def list_snapshots() -> None:
    """All snapshots, newest first, and which one of each dataset is in use."""
    from minerals.sources import DATASETS

    store, console = common.snapshots(common.settings()), common.console()
    rows: list[dict[str, str]] = []
    for dataset in DATASETS:
        lines = [_describe(store, dataset, name) for name in store.list(dataset)]
        rows += sorted(lines, key=lambda line: line["retrieved, UTC"], reverse=True)
    if not rows:
        console.print(f"There is no snapshot: {common.why_empty(store.root.parent)}")
    common.show(console, rows)


def _describe(store: "SnapshotStore", dataset: str, name: str) -> dict[str, str]:
    """A line of the list."""
    from minerals.sources.acceptance import verdict_file

    line = {"dataset": dataset, "snapshot": name, "state": "damaged"}
    try:
        snapshot = store.read(dataset, name)
    except SnapshotDamagedError:
        return {**line, "rows": "", "retrieved, UTC": "", "provider": ""}
    verdict = verdict_file(store, dataset, name)
    is_refused = verdict.exists() and not json.loads(verdict.read_text())["is_accepted"]
    line["state"] = "refused" if is_refused else ""
    if name == store.current_id(dataset):
        line["state"] = "pinned" if store.pinned_id(dataset) else "in use"
    return {
        **line,
        "rows": f"{snapshot.row_count:,}",
        "retrieved, UTC": snapshot.retrieved_at[:16].replace("T", " "),
        "provider": snapshot.provider,
    }


@snapshots.command()
def diff(
    dataset: Dataset,
    candidate: Annotated[str, typer.Argument(help="The id, or its beginning, of a snapshot.")],
    base: Annotated[
        str | None, typer.Argument(help="Compared with this one; default: the one in use.")
    ] = None,
) -> None:
    """What a snapshot would create, update and delete, and whether it is within the tolerances."""
    from minerals.sources.acceptance import Scope, compare

    store, dataset = common.snapshots(common.settings()), _dataset(dataset)
    new = _find(store, dataset, candidate)
    old = _find(store, dataset, base) if base else store.current(dataset)
    common.console().print(str(compare(old, new, Scope())))


@snapshots.command()
def use(
    dataset: Dataset,
    snapshot: Annotated[
        str, typer.Argument(help="The id, or its beginning; 'latest' lets refreshes move on again.")
    ],
    pin: Annotated[
        bool, typer.Option(help="Stay with it; --no-pin lets the next refresh move on.")
    ] = True,
) -> None:
    """Use this snapshot from the next refresh on: pin it, roll back, or accept a refused one."""
    store, dataset = common.snapshots(common.settings()), _dataset(dataset)
    console = common.console()
    if snapshot == LATEST:
        store.unpin(dataset)
        console.print(f"{dataset} is not pinned: the next refresh takes what its source offers")
        return
    chosen = _find(store, dataset, snapshot)
    if not pin:
        store.unpin(dataset)
    store.use(chosen, pin)
    how = "pinned to" if pin else "using"
    console.print(f"{dataset}: {how} {chosen.snapshot_id}; run `minerals refresh` to publish it")


@snapshots.command()
def verify() -> None:
    """Hash every file of every snapshot again. Exit code 1 when one is damaged."""
    from minerals.sources import DATASETS

    store, console = common.snapshots(common.settings()), common.console()
    names = [(dataset, name) for dataset in DATASETS for name in store.list(dataset)]
    if not names:
        raise SnapshotDamagedError(
            f"There is no snapshot to verify: {common.why_empty(store.root.parent)}"
        )
    n_files = n_damaged = 0
    for dataset, name in names:
        try:
            snapshot = store.verify(dataset, name)
            store.verify_originals(snapshot)
            n_files += len(snapshot.tables) + len(snapshot.originals)
        except SnapshotDamagedError as error:
            n_damaged += 1
            console.print(f"[red]damaged[/]  {error}")
    console.print(f"{n_files} files as their sidecars state, {n_damaged} snapshots damaged")
    if n_damaged:
        raise typer.Exit(1)


@app.command()
def backfill(
    importer: Annotated[
        str, typer.Option(help="The importing country: name or ISO code.", autocompletion=COUNTRIES)
    ],
    years: Annotated[str, typer.Option(help="One year, or first-last: 2015-2023.")],
) -> None:
    """Fetch years of one importer from UN Comtrade ahead of a refresh (live profile).

    When the quota or Ctrl-C stops it, start it again: it continues where it was.
    """
    from minerals.sources import comtrade

    settings, console = common.settings(), common.console()
    importer = known_country(importer, settings)
    wanted = read_years(years)
    if settings.profile == "bundled":
        console.print(
            "Nothing to fetch: the bundle holds all importers and the years 1995-2024 already. "
            f"MINERALS_IMPORTERS={importer} MINERALS_FIRST_YEAR={wanted[0]} "
            f"MINERALS_LAST_YEAR={wanted[-1]} minerals refresh uses them."
        )
        return
    with console.status("looks up what is published") as status:
        log, handler = logging.getLogger(comtrade.__name__), logging.Handler()
        # The client logs each answer: it is shown beside the spinner.
        handler.emit = lambda record: status.update(record.getMessage())
        log.setLevel(logging.INFO)
        log.addHandler(handler)
        try:
            for done in comtrade.backfill(settings, importer, wanted):
                console.print(done)
        finally:
            log.removeHandler(handler)
    folder = settings.downloads_dir / "comtrade"
    console.print(f"Kept under {folder}: a refresh of these years uses it.")


def read_years(text: str) -> list[int]:
    """'2015-2023' as its years, in order. Raises SourceError for anything else."""
    found = re.fullmatch(r"\s*(\d{4})(?:\s*-\s*(\d{4}))?\s*", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if last < first:
        raise SourceError(f"Invalid years '{text}'; use 2019 or 2015-2023 (first-last).")
    return list(range(first, last + 1))
