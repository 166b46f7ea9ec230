"""`minerals snapshots`: see, compare, pin or roll back the raw snapshots, and hash them again."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from minerals.errors import SnapshotDamagedError, SourceError
from orchestration.asked import why_nothing

if TYPE_CHECKING:
    from minerals.sources.snapshots import Snapshot, SnapshotStore

app = typer.Typer(
    help="The raw snapshots: list, compare, pin, roll back, verify.", no_args_is_help=True
)
Dataset = Annotated[str, typer.Argument(help="bilateral_trade, production and so on.")]
_LATEST = "latest"


def _store() -> "SnapshotStore":
    from minerals.sources.snapshots import SnapshotStore
    from orchestration.cli import _settings

    return SnapshotStore(_settings().raw_dir)


def _known(dataset: str) -> str:
    from minerals.sources import DATASETS

    if dataset not in DATASETS:
        raise SourceError(f"There is no dataset {dataset}: it is one of {', '.join(DATASETS)}.")
    return dataset


def _find(store: "SnapshotStore", dataset: str, snapshot_id: str) -> "Snapshot":
    """A snapshot by the beginning of its id. Raises SnapshotDamagedError when none is meant."""
    found = [name for name in store.list(dataset) if name.startswith(snapshot_id)]
    if len(found) != 1:
        raise SnapshotDamagedError(
            f"{snapshot_id} is the beginning of {len(found)} snapshots of {dataset}; there are: "
            f"{', '.join(store.list(dataset)) or 'none'}."
        )
    return store.verify(dataset, found[0])


@app.command("list")
def list_snapshots() -> None:
    """All snapshots, newest first, and which one of each dataset is in use."""
    from minerals.sources import DATASETS
    from minerals.sources.acceptance import verdict_file

    store, console = _store(), Console(highlight=False)
    table = Table(box=None)
    for name in ("dataset", "snapshot"):
        table.add_column(name, no_wrap=True)
    for name in ("state", "rows", "retrieved, UTC", "provider"):
        table.add_column(name, overflow="fold")
    for dataset in DATASETS:
        lines = []
        for snapshot_id in store.list(dataset):
            verdict = verdict_file(store, dataset, snapshot_id)
            accepted = not verdict.exists() or json.loads(verdict.read_text())["is_accepted"]
            state = "" if accepted else "refused"
            if snapshot_id == store.current_id(dataset):
                state = "pinned" if store.pinned_id(dataset) else "in use"
            try:
                snapshot = store.read(dataset, snapshot_id)
            except SnapshotDamagedError:
                lines.append(("", dataset, snapshot_id, "damaged", "", "", ""))
                continue
            at = snapshot.retrieved_at
            rows = f"{snapshot.row_count:,}"
            shown = at[:16].replace("T", " ")
            lines.append((at, dataset, snapshot_id, state, rows, shown, snapshot.provider))
        for _, *cells in sorted(lines, reverse=True):
            table.add_row(*cells)
    if table.row_count:
        console.print(table)
    else:
        console.print(f"There is no snapshot: {why_nothing(store.root.parent)}", soft_wrap=True)


@app.command()
def diff(
    dataset: Dataset,
    candidate: Annotated[str, typer.Argument(help="The id, or its beginning, of a snapshot.")],
    base: Annotated[
        str | None, typer.Argument(help="Compared with this one; default: the one in use.")
    ] = None,
) -> None:
    """What a snapshot would create, update and delete, and whether it is within the tolerances."""
    from minerals.sources.acceptance import Scope, compare

    store = _store()
    new = _find(store, _known(dataset), candidate)
    old = _find(store, dataset, base) if base else store.current(dataset)
    Console(highlight=False).print(str(compare(old, new, Scope())), soft_wrap=True)


@app.command()
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
    store, console = _store(), Console(highlight=False)
    if snapshot == _LATEST:
        store.unpin(_known(dataset))
        console.print(f"{dataset} is not pinned: the next refresh takes what its source offers")
        return
    chosen = _find(store, _known(dataset), snapshot)
    if pin:
        store.pin(chosen)
    else:
        store.unpin(dataset)
        store.use(chosen)
    how = "pinned to" if pin else "using"
    console.print(f"{dataset}: {how} {chosen.snapshot_id}; run `minerals refresh` to publish it")


@app.command()
def verify() -> None:
    """Hash every file of every snapshot again. Exit code 1 when one is damaged."""
    from minerals.sources import DATASETS

    store, console, damaged, n_files = _store(), Console(highlight=False), 0, 0
    if not any(store.list(dataset) for dataset in DATASETS):
        raise SnapshotDamagedError(
            f"There is no snapshot to verify: {why_nothing(store.root.parent)}"
        )
    for dataset in DATASETS:
        for snapshot_id in store.list(dataset):
            try:
                snapshot = store.verify(dataset, snapshot_id)
                store.verify_originals(snapshot)
                n_files += len(snapshot.tables) + len(snapshot.originals)
            except SnapshotDamagedError as error:
                damaged += 1
                console.print(f"[red]damaged[/]  {error}", soft_wrap=True)
    console.print(f"{n_files} files as their sidecars state, {damaged} snapshots damaged")
    if damaged:
        raise typer.Exit(1)
