"""`minerals releases` and `minerals contract`: what was published, and whether it can be trusted.

What is compared, verified or written is computed in `minerals/releases`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from minerals.errors import ReleaseError
from minerals.settings import PROJECT_ROOT, Settings, limit_linear_algebra_threads
from orchestration.cli import common
from orchestration.cli.common import country, show
from orchestration.cli.names import known_mineral

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minerals.releases.diff import Market, Move

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
    from minerals.marts import published
    from minerals.releases.contract import (
        CONTRACT,
        as_markdown,
        contract_changes,
        declared_contract,
        read_contract,
    )

    console = common.console()
    release = common.find_release(common.releases(common.settings()), "current")
    made = read_contract(release / CONTRACT)
    if write:
        COLUMNS_PAGE.write_text(as_markdown(made), encoding="utf-8")
        console.print(f"{common.count(len(made), 'mart')} written to {COLUMNS_PAGE}")
        return
    changes = contract_changes(made, declared_contract(published().values()))
    for line in changes:
        console.print(f"[yellow]declared since[/]  {line}")
    if changes:
        raise typer.Exit(1)
    console.print(f"Release {release.name} holds what is declared.")


@releases.command("list")
def list_releases() -> None:
    """The releases on disk, oldest first; an arrow marks the served one."""
    store, console = common.releases(common.settings()), common.console()
    current = store.current()
    rows = []
    for name in store.list():
        try:
            manifest = store.manifest(name) or {}
        except ReleaseError:
            manifest = {"created_at": "damaged", "code_version": "`minerals releases verify`"}
        rows.append(
            {
                "": "→" if current is not None and current.name == name else "",
                "release": name,
                "created, UTC": str(manifest.get("created_at"))[:16].replace("T", " "),
                "code": manifest.get("code_version"),
                "rows": f"{sum(mart['row_count'] for mart in manifest.get('marts', [])):,}",
            }
        )
    if not rows:
        console.print(f"There is no release: {common.why_empty(store.root.parent)}")
    show(console, rows)


@releases.command("show")
def show_release(release: ReleaseId = "current") -> None:
    """What a release holds and what it was made from."""
    store, console = common.releases(common.settings()), common.console()
    folder = common.find_release(store, release)
    manifest = store.manifest(folder.name) or {}
    console.print(f"[bold]{folder.name}[/]  {manifest['created_at']}  {folder}")
    for snapshot in manifest.get("snapshots", []):
        dataset, identity = snapshot["dataset"], snapshot["snapshot_id"]
        console.print(f"  {dataset:<20} {identity}  {snapshot['provider']}")
    for change in manifest.get("contract_changes", []):
        console.print(f"  [yellow]changed for BI[/]  {change}")
    checks = manifest.get("checks", {})
    for name, outcome in sorted(checks.get("not_passed", {}).items()):
        console.print(f"  [yellow]{name}[/]: {outcome}")
    console.print(f"  checks passed: {checks.get('n_passed', 'unknown')}")
    marts = [
        {"mart": m["name"], "rows": f"{m['row_count']:,}", "sha256": m["sha256"][:16]}
        for m in manifest["marts"]
    ]
    show(console, marts)


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
        made_with = common.profile(settings, folders[1].name)
        mineral = known_mineral(mineral, settings, minerals_of(*folders), made_with)
    found = diff_releases(*folders, mineral)
    console.print(f"{folders[0].name} → {folders[1].name}")
    for name, counts in found.row_counts.items():
        old, new = ("no" if n is None else f"{n:,}" for n in counts)
        console.print(f"  {name}: {old} → {new} rows")
    console.print(f"  {len(found.moves):,} of {found.n_compared:,} forward ranks differ")
    print_markets(console, found.markets, top)
    print_moves(console, settings, found.moves, top)


def print_markets(
    console: Console, markets: "Sequence[Market]", most: int | None, option: str = "--top"
) -> None:
    """Where candidates, imports or headline ranks differ; at most `most` rows."""
    rows = [
        {
            "market": f"{market.importer_iso3} {market.category} {market.mineral}",
            "coefficients": _before_after(market.source_before, market.source_after),
            "candidates": _before_after(market.candidates_before, market.candidates_after),
            "imports": _before_after(market.imports_before, market.imports_after),
            "moved": market.n_moved,
            "enter the top": ", ".join(market.entered),
            "leave it": ", ".join(market.left),
        }
        for market in markets
    ]
    print_first(console, rows, most, f"{common.count(len(rows), 'market')} changed", option)
    if rows:
        console.print(
            "candidates: suppliers; imports: supplier-years with imports; "
            "moved: suppliers whose rank differs"
        )


def print_moves(
    console: Console,
    settings: Settings,
    moves: "Sequence[Move]",
    most: int | None,
    option: str = "--top",
) -> None:
    """Suppliers that enter, leave or move; at most `most` rows."""
    rows = [
        {
            "market": f"{move.importer_iso3} {move.category} {move.mineral}",
            "coefficients": move.coefficient_source,
            "supplier": country(settings, move.exporter_iso3),
            "before": move.rank_before or "enters",
            "after": move.rank_after or "leaves",
            "places": "" if move.places is None else f"{move.places:+d}",
        }
        for move in moves
    ]
    print_first(console, rows, most, f"{common.count(len(rows), 'supplier rank')} changed", option)


def print_first(
    console: Console, rows: "Sequence[dict]", most: int | None, title: str, option: str
) -> None:
    """A table of the first rows, and how many more there are with which option."""
    if rows:
        console.print()
    show(console, rows[:most], title=title)
    if most is not None and len(rows) > most:
        console.print(f"and {len(rows) - most:,} more: {option} shows them")


def _before_after(before: object, after: object) -> str:
    return str(before) if before == after else f"{before} → {after}"


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
        try:
            problems = store.verify(name)
        except ReleaseError as error:
            problems = [str(error)]
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
        rows = [{"mart": mart, "compared": verdict} for mart, verdict in marts.items()]
        show(console, rows)
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
