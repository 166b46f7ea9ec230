"""`minerals releases` and `minerals contract`: what was published, and whether it can be trusted.

What is compared, verified or written is computed in `minerals/releases`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from minerals.settings import PROJECT_ROOT, Settings, limit_linear_algebra_threads
from orchestration.cli import common
from orchestration.cli.common import country

if TYPE_CHECKING:
    from minerals.releases.diff import Move

app = typer.Typer()
releases = typer.Typer(
    help="What was published: list, show, compare, verify, roll back.", no_args_is_help=True
)
app.add_typer(releases, name="releases")
COLUMNS_PAGE = PROJECT_ROOT / "docs" / "columns.md"
ReleaseId = Annotated[
    str, typer.Argument(help="Release id or its beginning, or `current`, or `previous`.")
]


@app.command()
def contract(
    write: Annotated[
        bool, typer.Option("--write", help="Write docs/columns.md from the served release.")
    ] = False,
) -> None:
    """Compare the columns of the served release with the declarations that BI tools count on."""
    from minerals.releases.contract import (
        CONTRACT,
        additions,
        agreed_contract,
        as_markdown,
        breaking_changes,
        read_contract,
    )

    console = common.console()
    release = common.find_release(common.releases(common.settings()), "current")
    made = read_contract(release / CONTRACT)
    if write:
        COLUMNS_PAGE.write_text(as_markdown(made), encoding="utf-8")
        console.print(f"{len(made)} columns written to {COLUMNS_PAGE}")
        return
    broken = breaking_changes(agreed_contract(), made)
    for line in broken:
        console.print(f"[red]breaks[/]  {line}")
    for name in additions(agreed_contract(), made):
        console.print(f"[yellow]new[/]     {name}")
    if broken:
        raise typer.Exit(1)
    console.print(f"Release {release.name} keeps the contract.")


@releases.command("list")
def list_releases() -> None:
    """The releases on disk, oldest first; an arrow marks the served one."""
    store, console = common.releases(common.settings()), common.console()
    current = store.current()
    rows = []
    for name in store.list():
        manifest = store.manifest(name) or {}
        rows.append(
            (
                "→" if current is not None and current.name == name else "",
                name,
                str(manifest.get("created_at"))[:16].replace("T", " "),
                str(manifest.get("code_version")),
                f"{sum(mart['row_count'] for mart in manifest.get('marts', [])):,}",
            )
        )
    if not rows:
        console.print(f"There is no release: {common.why_empty(store.root.parent)}")
        return
    columns = ("", "release", "created, UTC", "code", "rows")
    common.show(console, columns, rows)


@releases.command()
def show(release: ReleaseId = "current") -> None:
    """What a release holds and what it was made from."""
    store, console = common.releases(common.settings()), common.console()
    folder = common.find_release(store, release)
    manifest = store.manifest(folder.name) or {}
    console.print(f"[bold]{folder.name}[/]  {manifest['created_at']}  {folder}")
    for snapshot in manifest.get("snapshots", []):
        dataset, identity = snapshot["dataset"], snapshot["snapshot_id"]
        console.print(f"  {dataset:<20} {identity}  {snapshot['provider']}")
    checks = manifest.get("checks", {})
    for name, outcome in sorted(checks.get("not_passed", {}).items()):
        console.print(f"  [yellow]{name}[/]: {outcome}")
    console.print(f"  checks passed: {checks.get('n_passed', 'unknown')}")
    marts = [(m["name"], f"{m['row_count']:,}", m["sha256"][:16]) for m in manifest["marts"]]
    common.show(console, ("mart", "rows", "sha256"), marts)


@releases.command()
def diff(
    before: ReleaseId = "previous",
    after: ReleaseId = "current",
    mineral: Annotated[str | None, typer.Option(help="Only this mineral.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many moves to show.")] = 20,
) -> None:
    """Which suppliers moved between two releases, and by how many places."""
    from minerals.releases.diff import diff_releases, minerals_of

    settings, console = common.settings(), common.console()
    store = common.releases(settings)
    folders = common.find_release(store, before), common.find_release(store, after)
    if mineral is not None:
        mineral = common.known("mineral", mineral, minerals_of(*folders), "in the releases")
    found = diff_releases(*folders, mineral)
    console.print(f"{folders[0].name} → {folders[1].name}")
    for name, counts in found.row_counts.items():
        old, new = ("no" if n is None else f"{n:,}" for n in counts)
        console.print(f"  {name}: {old} → {new} rows")
    console.print(f"  {len(found.moves):,} of {found.n_compared:,} forward ranks differ")
    print_moves(console, settings, found.moves, top)


def print_moves(
    console: Console, settings: Settings, moves: "tuple[Move, ...]", most: int | None
) -> None:
    """Suppliers that entered, left or moved, in the order given; all of them without `most`."""
    if not moves:
        return
    common.show(
        console,
        ("importer", "category", "mineral", "coefficients", "supplier", "before", "after",
         "places"),
        [
            (
                move.importer_iso3,
                move.category,
                move.mineral,
                move.coefficient_source,
                country(settings, move.exporter_iso3),
                str(move.rank_before or "entered"),
                str(move.rank_after or "left"),
                "" if move.places is None else f"{move.places:+d}",
            )
            for move in moves[:most]
        ],
    )  # fmt: skip
    if most is not None and len(moves) > most:
        console.print(f"and {len(moves) - most:,} more")


@releases.command()
def verify(
    release: Annotated[
        str, typer.Argument(help="Release id or its beginning, current, previous, or all.")
    ] = "all",
) -> None:
    """Hash the files of the releases again. Exit code 1 when one is not what was published."""
    store, console = common.releases(common.settings()), common.console()
    if release == "all":
        names = common.release_names(store)
    else:
        names = [common.find_release(store, release).name]
    is_sound = True
    for name in names:
        problems = store.verify(name)
        is_sound &= not problems
        console.print(f"{name}: {'; '.join(problems) or 'sound'}")
    if not is_sound:
        raise typer.Exit(1)


@releases.command()
def rebuild(
    release: ReleaseId = "current",
    into: Annotated[
        Path | None,
        typer.Option(help="Keep what is made in this empty folder; default: it is removed."),
    ] = None,
) -> None:
    """Make a release again from the snapshots, settings and seed of its manifest, and compare.

    The served warehouse is only read. Exit code 1 when a mart is not identical.
    """
    limit_linear_algebra_threads()
    from minerals.releases.reproduction import IDENTICAL, differences
    from orchestration import run
    from orchestration.cli import scratch

    settings = common.settings()
    store = common.releases(settings)
    folder = common.find_release(store, release)
    manifest = store.manifest(folder.name) or {}
    with run.terminal() as stream:
        console = common.console(file=stream)
        for note in scratch.notes(settings, manifest):
            console.print(f"[yellow]note[/]  {note}")
        with scratch.refresh(settings, manifest, console, into=into) as again:
            marts = differences(folder, again)
        for mart, verdict in marts.items():
            console.print(f"  {mart:<28} {verdict}")
        is_identical = set(marts.values()) == {IDENTICAL}
        verdict = "identical to" if is_identical else "not identical to"
        console.print(f"The new release is {verdict} {folder.name}, except column release_id.")
    if not is_identical:
        raise typer.Exit(1)


@releases.command()
def rollback(
    release: Annotated[
        str,
        typer.Argument(
            help="Release id or its beginning, or `current` to write the serving database "
            "again; default: the one before the current."
        ),
    ] = "previous",
) -> None:
    """Serve an older release again, at once, after checking its files."""
    store = common.releases(common.settings())
    served = store.rollback(common.find_release(store, release).name)
    common.console().print(
        f"release {served} is served again; the next refresh publishes a new one"
    )
