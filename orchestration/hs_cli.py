"""`minerals hs`: the analyst's commands on the mapping from HS codes to minerals.

Belongs here: the arguments, and what a person reads. What is checked and compared is computed in
`minerals/mapping` and `hs_preview.py`. `check` imports neither pandas nor Dagster nor dbt: it is
run after every edit.
"""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from minerals.errors import MineralsError, SnapshotDamagedError
from minerals.mapping import coverage, reference, rules, seeds
from minerals.settings import PROJECT_ROOT, Settings, limit_linear_algebra_threads

if TYPE_CHECKING:
    from orchestration.hs_preview import Preview

SEEDS_DIR = PROJECT_ROOT / "dbt_project" / "seeds"
LONGEST = 10

Importer = Annotated[
    str | None, typer.Option(help="ISO3 code of the importing country; default: the first one set.")
]
SeedsDir = Annotated[
    Path | None,
    typer.Option("--seeds", help="Another folder with the two files; default: the project's."),
]


def build(read_settings: Callable[[], Settings]) -> typer.Typer:
    """The sub-command, given how the command line reads its settings."""
    app = typer.Typer(
        help="Check the mapping from HS codes to minerals, and see what a change would move.",
        no_args_is_help=True,
    )

    @app.command()
    def check(
        importer: Importer = None,
        seeds_dir: SeedsDir = None,
        problems_only: Annotated[
            bool, typer.Option("--problems-only", help="Without the table of coverage.")
        ] = False,
    ) -> None:
        """Check the mapping's files, without the warehouse. Exit code 1 when there is an error."""
        settings = read_settings()
        console = Console(highlight=False, soft_wrap=True)
        snapshot = coverage.snapshot_folder(settings.raw_dir)
        report, lists = checked(settings, seeds_dir or SEEDS_DIR, snapshot, console)
        print_problems(console, report)
        print_lists(console, settings, report)
        if not problems_only and report.mapping.mapped.is_readable:
            iso3 = (importer or settings.importers[0]).upper()
            trade = _trade(console, settings, snapshot, iso3)
            _print_coverage(console, report.mapping, trade)
            _print_unmapped(console, report.mapping, lists, trade)
        if report.n_errors:
            raise typer.Exit(1)

    @app.command()
    def preview(
        seeds_dir: SeedsDir = None,
        mineral: Annotated[
            str | None, typer.Option(help="Only this mineral, for example Copper.")
        ] = None,
        show_all: Annotated[
            bool, typer.Option("--all", help="Every mineral and supplier that moves.")
        ] = False,
    ) -> None:
        """Show what the mapping's files would do to the ranks, without publishing anything."""
        settings = read_settings()
        limit_linear_algebra_threads()
        console = Console(highlight=False, soft_wrap=True)
        snapshot = coverage.snapshot_folder(settings.raw_dir)
        report, _ = checked(settings, seeds_dir or SEEDS_DIR, snapshot, console)
        print_problems(console, report)
        if report.n_errors:
            console.print("No preview: correct the errors first.")
            raise typer.Exit(1)
        name = _known_mineral(report.mapping, mineral)
        with console.status("starting") as status:
            from orchestration.hs_preview import preview as compute

            found = compute(settings, report.mapping, lambda stage: _say(console, status, stage))
        print_preview(console, found, name, show_all)

    return app


def checked(
    settings: Settings, folder: Path, snapshot: Path | None, console: Console
) -> tuple[rules.Report, reference.HsLists]:
    """Read the HS lists at hand and check the seeds in `folder` against them."""
    if not folder.is_dir():
        raise MineralsError(f"There is no folder {folder}: give the one that holds {seeds.MAP}.")
    lists = reference.read_lists(settings.hs_reference)
    if snapshot is not None and not lists.has("H0"):
        try:
            products = coverage.read_products(snapshot)
        except SnapshotDamagedError as error:
            console.print(f"[yellow]warning[/] {error}")
        else:
            source = "the product table of the trade data"
            lists = reference.with_products(lists, products, source)
    minerals_file = folder / seeds.MINERALS
    if not minerals_file.exists():
        minerals_file = SEEDS_DIR / seeds.MINERALS
    return rules.check_mapping(folder, lists, minerals_file, committed_codes()), lists


def committed_codes() -> Mapping[str, set[str]] | None:
    """The codes of each revision in the project's last commit; None when git cannot say."""
    found = []
    for name in (seeds.MAP, seeds.OUT_OF_SCOPE):
        file = SEEDS_DIR / name
        command = ["git", "-C", str(PROJECT_ROOT), "show"]
        command.append(f"HEAD:./{file.relative_to(PROJECT_ROOT).as_posix()}")
        try:
            done = subprocess.run(command, capture_output=True, check=True, timeout=10)
        except (OSError, subprocess.SubprocessError):
            return None
        found.append(seeds.parse_seed(file, done.stdout))
    empty = seeds.Seed(SEEDS_DIR / seeds.MINERALS, (), ())
    return coverage.decided_codes(rules.MappingSeeds(found[0], found[1], empty))


def print_problems(console: Console, report: rules.Report) -> None:
    """Every problem: file and line, what is wrong, what to write instead."""
    colours = {"error": "bold red", "warning": "yellow"}
    for problem in report.problems:
        place = f"{_shown(problem.file)}:{problem.line}"
        line = Text.assemble((problem.severity, colours[problem.severity]), f" {place}")
        line.append(f" {problem.column}" if problem.column else "", style="bold")
        line.append(f": {problem.what}")
        console.print(line)
        console.print(Text(f"    -> {problem.instead}", style="green"))
    n_warnings = len(report.problems) - report.n_errors
    n_rows = f"{len(report.mapping.mapped.rows)} mapped and "
    n_rows += f"{len(report.mapping.out_of_scope.rows)} out-of-scope rows read: "
    counts = f"{_count(report.n_errors, 'error')}, {_count(n_warnings, 'warning')}"
    style = "bold red" if report.n_errors else "bold green"
    console.print(Text.assemble(n_rows, (counts, style)))


def print_lists(console: Console, settings: Settings, report: rules.Report) -> None:
    """How the codes of each revision were checked, so that nothing is unchecked in silence."""
    for revision, sentence in report.checked_against.items():
        style = "yellow" if "not checked" in sentence else ""
        console.print(Text(f"{revision}: {sentence}", style=style))
    if not settings.hs_reference.is_dir():
        console.print(
            f"[yellow]No folder of HS lists[/]: create {settings.hs_reference}, or set "
            "MINERALS_HS_REFERENCE_DIR."
        )


def print_preview(console: Console, found: "Preview", mineral: str | None, show_all: bool) -> None:
    """Changed codes, then minerals, then suppliers, the largest moves first."""
    for note in found.notes:
        console.print(f"[yellow]note[/] {note}")
    if not found.codes:
        console.print(
            f"\nNothing changes: the seeds mean what release {found.release_id} was made from."
        )
        return
    console.print()
    table = Table(title=f"{_count(len(found.codes), 'code')} changed", title_justify="left")
    for heading in ("revision", "code", "before", "after"):
        table.add_column(heading)
    for code in found.codes if show_all else found.codes[:LONGEST]:
        table.add_row(code.hs_revision, code.hs_code, code.before, code.after)
    console.print(table, soft_wrap=False)
    _print_rest(console, len(found.codes), LONGEST, show_all)
    minerals, suppliers = found.minerals, found.suppliers
    if mineral:
        minerals = minerals.loc[minerals["mineral"] == mineral]
        suppliers = suppliers.loc[suppliers["mineral"] == mineral]
    if minerals.empty:
        of = f" of {mineral}" if mineral else ""
        console.print(
            f"\nNothing changes in the ranks{of}: no candidate, import or place differs from "
            f"release {found.release_id}."
        )
        return
    _print_minerals(console, minerals.to_dict("records"), found.top_k, show_all)
    _print_suppliers(console, suppliers.to_dict("records"), show_all)
    console.print(f"Compared with release {found.release_id}. Nothing was published.")


def _print_minerals(
    console: Console, rows: Sequence[Mapping[Any, Any]], top_k: int, show_all: bool
) -> None:
    console.print()
    table = Table(title="What changes in each mineral", title_justify="left")
    for heading in ("importer", "mineral", "category"):
        table.add_column(heading)
    for heading in ("candidates", "imports", "moved"):
        table.add_column(heading, justify="right")
    table.add_column(f"enters the top {top_k}")
    table.add_column("leaves it")
    shown = rows if show_all else rows[:LONGEST]
    for row in shown:
        cells = [row["importer_iso3"], row["mineral"], row["category"]]
        cells += [_before_after(row, "candidates"), _before_after(row, "imports")]
        table.add_row(*cells, str(row["moved"]), row["top_in"], row["top_out"])
    console.print(table, soft_wrap=False)
    _print_rest(console, len(rows), LONGEST, show_all)
    sources = {
        (r["importer_iso3"], r["category"], r["source_before"], r["source_after"])
        for r in rows
        if isinstance(r["source_before"], str)
        and isinstance(r["source_after"], str)
        and r["source_before"] != r["source_after"]
    }
    for iso3, category, before, after in sorted(sources):
        console.print(f"{iso3} {category}: ranked with {after} coefficients, before {before}.")


def _print_suppliers(console: Console, rows: Sequence[Mapping[Any, Any]], show_all: bool) -> None:
    if not rows:
        console.print("No supplier changes its place.")
        return
    console.print()
    table = Table(title="Suppliers that enter, leave or move, largest first", title_justify="left")
    for heading in ("importer", "mineral", "category", "supplier"):
        table.add_column(heading)
    for heading in ("rank before", "rank after", "move"):
        table.add_column(heading, justify="right")
    for row in rows if show_all else rows[: 2 * LONGEST]:
        before, after = (_place(row[name]) for name in ("rank_before", "rank_after"))
        move = "enters" if not before else "leaves" if not after else f"{row['places']:+d}"
        cells = [row["importer_iso3"], row["mineral"], row["category"], row["exporter_iso3"]]
        table.add_row(*cells, before, after, move)
    console.print(table, soft_wrap=False)
    _print_rest(console, len(rows), 2 * LONGEST, show_all)


def _print_rest(console: Console, number: int, most: int, show_all: bool) -> None:
    if not show_all and number > most:
        console.print(f"and {number - most} more: --all shows them")


def _before_after(row: Mapping[Any, Any], name: str) -> str:
    before, after = row[f"{name}_before"], row[f"{name}_after"]
    return str(before) if before == after else f"{before} -> {after}"


def _place(rank: Any) -> str:
    """A rank, or nothing for a supplier that is no candidate (pandas' NA is not comparable)."""
    return str(rank) if isinstance(rank, Integral) else ""


def _known_mineral(mapping: rules.MappingSeeds, mineral: str | None) -> str | None:
    if mineral is None:
        return None
    known = {name.lower(): name for name in mapping.mineral_names}
    if mineral.lower() not in known:
        near = seeds.closest(mineral, mapping.mineral_names)
        hint = f"Did you mean {near}?" if near else f"It is one of: {'; '.join(known.values())}."
        raise MineralsError(f"There is no mineral '{mineral}'. {hint}")
    return known[mineral.lower()]


def _say(console: Console, status: Status, stage: str) -> None:
    """The stage beside the spinner; in a log, where nothing spins, a line for each new stage."""
    if console.is_terminal:
        status.update(stage)
    elif "step " not in stage:
        console.print(f"{stage} ...")


def _trade(
    console: Console, settings: Settings, snapshot: Path | None, iso3: str
) -> coverage.Trade | None:
    """The importer's trade, or a sentence why there is none."""
    if snapshot is None:
        console.print(
            f"\nNo trade values: there is no trade snapshot under {settings.raw_dir} yet "
            "(`minerals refresh` makes one)."
        )
        return None
    aliases = SEEDS_DIR / "country_aliases.csv"
    try:
        trade = coverage.read_trade(
            snapshot, aliases, iso3, settings.first_year, settings.last_year
        )
    except SnapshotDamagedError as error:
        console.print(f"\n[yellow]No trade values[/]: {error}")
        return None
    if trade is None:
        raise MineralsError(
            f"{iso3} is not an importer in the trade data ({_shown(aliases)} has no code of it in "
            "the system baci): give the ISO 3166 alpha-3 code, such as IND or JPN."
        )
    return trade


def _print_coverage(
    console: Console, mapping: rules.MappingSeeds, trade: coverage.Trade | None
) -> None:
    rows = coverage.coverage(mapping, trade)
    mapped_value = sum(row.value_usd or 0.0 for row in rows)
    console.print()
    title = "Codes of each mineral and category"
    if trade:
        title += f", and imports of {trade.importer_iso3} in {trade.first_year}-{trade.last_year}"
    table = Table(title=title, title_justify="left")
    table.add_column("mineral")
    table.add_column("category")
    for revision in reference.REVISIONS:
        table.add_column(revision, justify="right")
    if trade:
        table.add_column("million USD", justify="right")
        table.add_column("share", justify="right")
    for row in rows:
        cells = [row.mineral, row.category]
        cells += [str(row.n_codes[revision] or "") for revision in reference.REVISIONS]
        if trade:
            cells += _value_cells(row.value_usd, mapped_value)
        table.add_row(*cells)
    console.print(table, soft_wrap=False)
    none = coverage.without_codes(mapping)
    if none:
        console.print(f"without any code: {'; '.join(none)}")
    if trade:
        outside = coverage.out_of_scope_value(mapping, trade)
        console.print(
            f"Values are those of the codes of {coverage.TRADE_REVISION} in the trade data, which "
            f"hold {len(trade.value_usd)} codes; '-' has none among them. Mapped: "
            f"{_millions(mapped_value)} million USD; out of scope: {_millions(outside)}."
        )


def _value_cells(value: float | None, total: float) -> list[str]:
    if value is None:
        return ["-", "-"]
    return [_millions(value), f"{value / total:.1%}" if total else ""]


def _print_unmapped(
    console: Console,
    mapping: rules.MappingSeeds,
    lists: reference.HsLists,
    trade: coverage.Trade | None,
) -> None:
    if not mapping.out_of_scope.is_readable:
        console.print(f"Unmapped lines are not listed: {seeds.OUT_OF_SCOPE} cannot be read.")
        return
    lines = coverage.unmapped(mapping, lists, trade)
    searched = ", ".join(revision for revision in reference.REVISIONS if lists.has(revision))
    chapters = f"chapters {', '.join(reference.CHAPTERS)} ({searched or 'no list at hand'})"
    if not lines:
        console.print(
            f"Unmapped: no line of {chapters}" + (", nor of the trade." if trade else ".")
        )
        return
    console.print()
    table = Table(
        title=f"Largest of {len(lines)} unmapped lines of {chapters}", title_justify="left"
    )
    for name in ("revision", "code", "text"):
        table.add_column(name)
    table.add_column("million USD", justify="right")
    for line in lines[:LONGEST]:
        value = "" if line.value_usd is None else _millions(line.value_usd)
        table.add_row(line.hs_revision, line.hs_code, line.text, value)
    console.print(table, soft_wrap=False)


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _millions(value: float) -> str:
    return f"{value / 1e6:,.1f}"


def _shown(file: Path) -> Path:
    """The file as a person in this folder would write it."""
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file
