"""`minerals releases`, `minerals contract` and `minerals export`: what was published, handed on.

Belongs here: arguments, and what a person reads. What is compared, verified or written is computed
in `minerals/releases`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from minerals.errors import ReleaseError
from minerals.marts import published
from minerals.releases import CURRENT, ReleaseStore
from minerals.releases.contract import (
    CONTRACT,
    as_markdown,
    contract_changes,
    declared_contract,
    read_contract,
)
from minerals.releases.export import Format
from minerals.settings import PROJECT_ROOT, Settings, limit_linear_algebra_threads
from orchestration.asked import known_mineral, why_nothing

BI_PAGE = PROJECT_ROOT / "docs" / "bi.md"
FORMATS: Mapping[str, Format] = {".csv": "csv", ".xlsx": "xlsx"}
BEGIN, END = "<!-- columns: written by `minerals contract --write` -->", "<!-- end of columns -->"
ReleaseId = Annotated[
    str, typer.Argument(help="Release id or its beginning, or `current`, or `previous`.")
]


def register(app: typer.Typer, read_settings: Callable[[], Settings]) -> None:
    """Add the commands to the command line."""
    app.add_typer(_releases(read_settings), name="releases")

    @app.command()
    def contract(
        write: Annotated[
            bool, typer.Option("--write", help="Write the columns into the page for BI.")
        ] = False,
    ) -> None:
        """Compare what is declared with the current release; --write updates the page for BI."""
        console = Console(highlight=False, soft_wrap=True)
        store = store_of(read_settings())
        made = read_contract(_folder(store, "current") / CONTRACT)
        if write:
            BI_PAGE.write_text(with_columns(BI_PAGE.read_text(encoding="utf-8"), as_markdown(made)))
            console.print(f"written: {BI_PAGE}")
            return
        changes = contract_changes(made, declared_contract(published().values()))
        for line in changes:
            console.print(f"[yellow]declared since[/]  {line}")
        if not changes:
            console.print("The current release holds what is declared.")

    @app.command()
    def export(
        mart: Annotated[str, typer.Option(help="For example ranking_forward.")],
        form: Annotated[
            Literal["csv", "xlsx"] | None,
            typer.Option("--format", help="Default: what the name of --output ends with, or csv."),
        ] = None,
        mineral: Annotated[str | None, typer.Option(help="Only this mineral.")] = None,
        category: Annotated[str | None, typer.Option(help="Only ores, products or scrap.")] = None,
        importer: Annotated[str | None, typer.Option(help="Only this importer, ISO3.")] = None,
        output: Annotated[
            Path | None, typer.Option(help="File to write; default: <mart>.<format> here.")
        ] = None,
    ) -> None:
        """Write a mart of the current release as CSV or Excel, for people without a BI tool."""
        from minerals.releases.export import export_mart

        chosen = {"mineral": mineral, "category": category, "importer_iso3": importer}
        filters = {column: value for column, value in chosen.items() if value is not None}
        form = form_of(output, form)
        target = output or Path(f"{mart}.{form}")
        folder = _folder(store_of(read_settings()), "current")
        n_rows = export_mart(folder, mart, target, form, filters)
        Console(highlight=False, soft_wrap=True).print(
            f"{n_rows:,} rows of {mart}, release {folder.name}, in {target}"
        )


def store_of(settings: Settings) -> ReleaseStore:
    """The releases of a warehouse."""
    return ReleaseStore(settings.releases_dir, settings.serving_database, settings.releases_to_keep)


def form_of(output: Path | None, form: Format | None) -> Format:
    """The format that the name of the file and --format agree on. Raises ReleaseError."""
    named: Format | None = None if output is None else FORMATS.get(output.suffix.lower())
    if form is None and output is not None and named is None:
        raise ReleaseError(f"{output} does not end in .csv or .xlsx: name it so, or give --format.")
    if form is not None and named is not None and form != named:
        raise ReleaseError(f"{output} is the name of a {named} file, --format says {form}.")
    return form or named or "csv"


def with_columns(page: str, tables: str) -> str:
    """The page with the generated part replaced. Raises ReleaseError when it has no place."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ReleaseError(f"{BI_PAGE} has lost the lines {BEGIN} and {END}.")
    return f"{head}{BEGIN}\n\n{tables}\n{END}{tail}"


def _releases(read_settings: Callable[[], Settings]) -> typer.Typer:
    app = typer.Typer(
        help="What was published: list, show, compare, check, go back.", no_args_is_help=True
    )

    @app.command("list")
    def list_releases() -> None:
        """The releases on disk, oldest first; the one being served is marked."""
        store = store_of(read_settings())
        current = store.current()
        table = Table("", box=None)
        table.add_column("release", no_wrap=True)
        for name in ("created, UTC", "code", "rows"):
            table.add_column(name, overflow="fold")
        for release_id in store.list():
            manifest = store.manifest(release_id) or {}
            is_served = current is not None and current.name == release_id
            table.add_row(
                "→" if is_served else "",
                release_id,
                str(manifest.get("created_at"))[:16].replace("T", " "),
                str(manifest.get("code_version")),
                f"{sum(mart['row_count'] for mart in manifest.get('marts', [])):,}",
            )
        console = Console(highlight=False)
        if table.row_count:
            console.print(table)
        else:
            console.print(f"There is no release: {why_nothing(store.root.parent)}", soft_wrap=True)

    @app.command()
    def show(release: ReleaseId = "current") -> None:
        """What a release holds and what it was made from."""
        store = store_of(read_settings())
        folder = _folder(store, release)
        manifest = store.manifest(folder.name) or {}
        console = Console(highlight=False, soft_wrap=True)
        console.print(f"[bold]{folder.name}[/]  {manifest['created_at']}  {folder}")
        for snapshot in manifest.get("snapshots", []):
            console.print(
                f"  {snapshot['dataset']:<20} {snapshot['snapshot_id']}  {snapshot['provider']}"
            )
        for name, outcome in sorted(manifest.get("checks", {}).get("not_passed", {}).items()):
            console.print(f"  [yellow]{name}[/]: {outcome}")
        console.print(f"  checks passed: {manifest.get('checks', {}).get('n_passed', 'unknown')}")
        table = Table("mart", "rows", "sha256", box=None)
        for mart in manifest["marts"]:
            table.add_row(mart["name"], f"{mart['row_count']:,}", mart["sha256"][:16])
        console.print(table)

    @app.command()
    def diff(
        before: ReleaseId = "previous",
        after: ReleaseId = "current",
        mineral: Annotated[str | None, typer.Option(help="Only this mineral.")] = None,
        top: Annotated[int, typer.Option(min=1, help="How many moves to show.")] = 20,
    ) -> None:
        """Which suppliers moved between two releases, and by how many places."""
        from minerals.releases.diff import diff_releases, minerals_of

        store = store_of(read_settings())
        folders = _folder(store, before), _folder(store, after)
        if mineral is not None:
            mineral = known_mineral(mineral, minerals_of(*folders))
        found = diff_releases(*folders, mineral)
        console = Console(highlight=False)
        console.print(f"{folders[0].name} → {folders[1].name}", soft_wrap=True)
        for name, (old, new) in found.row_counts.items():
            console.print(f"  {name}: {_count(old)} → {_count(new)} rows", soft_wrap=True)
        console.print(f"  {len(found.moves):,} of {found.n_compared:,} forward ranks differ")
        if not found.moves:
            return
        table = Table("importer", "category", "mineral", "coefficients", "supplier",
                      "before", "after", "places", box=None)  # fmt: skip
        for move in found.moves[:top]:
            places = "" if move.places is None else f"{move.places:+d}"
            table.add_row(
                move.importer_iso3, move.category, move.mineral, move.coefficient_source,
                move.exporter_iso3, str(move.rank_before or "entered"),
                str(move.rank_after or "left"), places,
            )  # fmt: skip
        console.print(table)
        if len(found.moves) > top:
            console.print(f"  and {len(found.moves) - top:,} more (--top)")

    @app.command()
    def verify(
        release: Annotated[
            str, typer.Argument(help="Release id or its beginning, current, previous, or all.")
        ] = "all",
    ) -> None:
        """Hash the files of the releases again. Exit code 1 when one is not what was published."""
        store = store_of(read_settings())
        names = _names(store) if release == "all" else [_folder(store, release).name]
        console = Console(highlight=False, soft_wrap=True)
        is_sound = True
        for name in names:
            problems = store.verify(name)
            is_sound &= not problems
            console.print(f"{name}: {'; '.join(problems) or 'sound'}")
        if not is_sound:
            raise typer.Exit(1)

    @app.command()
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
        from orchestration import run, summary
        from orchestration.rebuilding import rebuild as make_again

        settings = read_settings()
        name = _folder(store_of(settings), release).name
        with TemporaryDirectory(prefix="minerals-rebuild-") as scratch, run.terminal() as terminal:
            console = Console(file=terminal, highlight=False, soft_wrap=True)
            with summary.LineProgress(console, run.STAGES) as progress:
                rebuilt = make_again(settings, name, into or Path(scratch), progress.on_step)
            for warning in rebuilt.warnings:
                console.print(f"[yellow]note[/]  {warning}")
            for mart, verdict in rebuilt.marts.items():
                console.print(f"  {mart:<28} {verdict}")
            verdict = "identical to" if rebuilt.is_identical else "not identical to"
            console.print(
                f"What was made again is {verdict} {name}, but for the column release_id."
            )
        if not rebuilt.is_identical:
            raise typer.Exit(1)

    @app.command()
    def rollback(
        release: Annotated[
            str,
            typer.Argument(
                help="Release id or its beginning, or `current` to write the serving database "
                "anew; default: the one before the current."
            ),
        ] = "previous",
    ) -> None:
        """Serve an older release again, at once, after checking its files."""
        store = store_of(read_settings())
        served = store.rollback(_folder(store, release).name)
        Console(highlight=False, soft_wrap=True).print(
            f"release {served} is served again; the next refresh publishes a new one"
        )

    return app


def _count(number: int | None) -> str:
    return "no" if number is None else f"{number:,}"


def _names(store: ReleaseStore) -> list[str]:
    """All releases. Raises ReleaseError when there is none, with the reason."""
    names = store.list()
    if not names:
        raise ReleaseError(f"There is no release: {why_nothing(store.root.parent)}")
    return names


def _folder(store: ReleaseStore, release: str) -> Path:
    """The folder of `current`, `previous`, a release id or the beginning of one.

    Raises ReleaseError when that is no release, or not one alone.
    """
    names = _names(store)
    if release in {"current", "previous"}:
        return _served_or_before(store, names, release)
    if release in names:
        return store.folder(release)
    found = [name for name in names if release and name.startswith(release)]
    if len(found) > 1:
        raise ReleaseError(f"{release} is the beginning of {', '.join(found)}: write more of it.")
    return store.folder(found[0] if found else release)


def _served_or_before(store: ReleaseStore, names: list[str], release: str) -> Path:
    current = store.current()
    if current is None:
        raise ReleaseError(
            f"{store.root / CURRENT} leads to no release: `minerals releases rollback <release>` "
            f"serves one of {', '.join(names)}."
        )
    if release == "current":
        return current
    older = [name for name in names if name < current.name]
    if not older:
        raise ReleaseError("There is no release before the current one.")
    return store.folder(older[-1])
