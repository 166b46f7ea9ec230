"""What the commands share: settings, the served marts, tables, numbers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from minerals.errors import ReleaseError
from minerals.names import CATEGORIES
from minerals.settings import Settings, country_names, read_settings
from orchestration.cli import names

if TYPE_CHECKING:
    import duckdb

    from minerals.releases import ReleaseStore
    from minerals.sources.snapshots import SnapshotStore

_FIGURE = re.compile(r"[-+*]?[\d,.]*[%]?|\d+-\d+|none|unknown|entered|left")
_MACROS = """
create temp macro named(code) as coalesce(getvariable('country_names')[code], code);
create temp macro country(code) as
    code || coalesce(' ' || getvariable('country_names')[code], '');
create temp macro pct(share) as coalesce(format('{:.0f}%', 100 * share), 'none');
create temp macro tons(kg) as format('{:,.1f}', kg / 1000);
"""

OF_MARKETS = (
    "importer_iso3 = ? and mineral = coalesce(?, mineral) and category = coalesce(?, category)"
)
Markets = tuple[str, str | None, str | None]


def settings() -> Settings:
    """The settings of the environment. Raises SettingsError with all that is wrong."""
    return read_settings()


def console(**options: Any) -> Console:
    """The terminal. Lines are not wrapped, so that a path can be copied; `show` wraps tables."""
    return Console(**{"highlight": False, "soft_wrap": True, **options})


def show(console: Console, rows: Iterable[Mapping[str, Any]], title: str = "") -> None:
    """Print a table of rows by column name; nothing when there is no row."""
    if rows := list(rows):
        show_table(console, list(rows[0]), [list(row.values()) for row in rows], title)


def show_table(
    console: Console, columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = ""
) -> None:
    """Print a table as wide as the terminal: figures to the right, text wrapped between words."""
    cells = [[cell(value) for value in row] for row in rows]
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    table.padding = (0, 2, 0, 0)
    by_column = list(zip(columns, *cells, strict=True))
    for (name, *texts), width in zip(by_column, _widths(by_column, console.width), strict=True):
        is_figure = any(texts) and all(map(_FIGURE.fullmatch, texts))
        justify: Literal["left", "right"] = "right" if is_figure else "left"
        table.add_column(Text(name), justify=justify, overflow="fold", width=width)
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table, soft_wrap=False)


def _widths(by_column: Sequence[Sequence[str]], terminal: int) -> list[int]:
    """The width of each column: of its longest cell or, where the terminal is too narrow for all,
    at least of its longest word (paths apart), so that what has to be copied stays whole."""
    longest = [max(map(len, texts)) for texts in by_column]
    widths = [
        max((len(w) if "/" not in w else 12 for t in texts for w in t.split()), default=0)
        for texts in by_column
    ]
    spare = max(terminal - 2 * len(by_column) - sum(widths), 0)
    order = sorted(range(len(widths)), key=lambda i: longest[i] - widths[i])
    for n_left, i in zip(range(len(widths), 0, -1), order, strict=True):
        more = min(longest[i] - widths[i], spare // n_left)
        widths[i], spare = widths[i] + more, spare - more
    return widths


def fetched(answer: "duckdb.DuckDBPyConnection") -> list[dict[str, Any]]:
    """The rows of an answer, by column name."""
    columns = [column[0] for column in answer.description or []]
    return [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]


def cell(value: Any) -> str:
    """A value as a table shows it: six digits, large figures whole, nothing for a missing one."""
    if isinstance(value, float):
        return f"{value:.0f}" if 1e6 <= abs(value) < 1e15 else f"{value:.6g}"
    return "" if value is None else str(value)


def number(value: float | None, form: str, missing: str = "") -> str:
    """The figure, or `missing` where there is none (NaN differs from itself)."""
    return missing if value is None or value != value else format(value, form)


def percent(share: float | None) -> str:
    return number(share, ".0%", "none")


def count(number: int, noun: str) -> str:
    """'no errors', '1 error', '2 errors'."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def country(settings: Settings, iso3: str) -> str:
    """The code with the country's name: 'CHN China'."""
    return f"{iso3} {country_names(settings.seeds_dir).get(iso3, '')}".strip()


def releases(settings: Settings) -> "ReleaseStore":
    """The releases of the warehouse."""
    from minerals.releases import ReleaseStore

    return ReleaseStore(settings.releases_dir, settings.serving_database, settings.releases_to_keep)


def profile(settings: Settings, release_id: str | None = None) -> str:
    """The profile that a release was made with; by default the one that is served."""
    manifest = releases(settings).manifest(release_id) or {}
    return manifest.get("settings", {}).get("profile", settings.profile)


def snapshots(settings: Settings) -> "SnapshotStore":
    """The raw snapshots of the warehouse."""
    from minerals.sources.snapshots import SnapshotStore

    return SnapshotStore(settings.raw_dir)


def release_names(store: "ReleaseStore") -> list[str]:
    """The ids of all releases, oldest first. Raises ReleaseError when there is none."""
    names = store.list()
    if not names:
        raise ReleaseError(f"There is no release: {why_empty(store.root.parent)}")
    return names


def find_release(store: "ReleaseStore", release: str) -> Path:
    """The folder of `current`, `previous`, a release id or the beginning of one.

    Raises ReleaseError when that names no release, or more than one.
    """
    names = release_names(store)
    if release in {"current", "previous"}:
        current = store.current()
        if current is None:
            raise ReleaseError(
                "No release is served: `minerals releases rollback <release>` serves one of "
                f"{', '.join(names)}."
            )
        older = [name for name in names if name < current.name]
        if release == "previous" and not older:
            raise ReleaseError("There is no release before the current one.")
        return current if release == "current" else store.folder(older[-1])
    return store.folder(by_beginning("release", release, names))


def by_beginning(kind: str, beginning: str, names: Sequence[str]) -> str:
    """The one name that begins so. Raises ReleaseError when it is none, or more than one."""
    found = [name for name in names if name == beginning] or [
        name for name in names if beginning and name.startswith(beginning)
    ]
    if len(found) > 1:
        raise ReleaseError(f"More than one {kind} begins with '{beginning}': {', '.join(found)}.")
    if not found:
        listed = ", ".join(names) or "none"
        raise ReleaseError(
            f"There is no {kind} that begins with '{beginning}'; there are: {listed}."
        )
    return found[0]


def why_empty(warehouse: Path) -> str:
    """Why a warehouse folder holds no release or snapshot, and what to do."""
    if warehouse.is_dir():
        return f"{warehouse} holds none yet: run `minerals refresh` first."
    state = "is a file, not a folder" if warehouse.exists() else "does not exist"
    return (
        f"{warehouse} {state}: is MINERALS_WAREHOUSE_DIR right? If so, run `minerals refresh` "
        "first."
    )


class Marts(AbstractContextManager["Marts"]):
    """The served marts, read-only (`open_serving`), and the terminal that shows them.

    SQL may use the macros country(iso3), named(iso3), pct(share) and tons(kg). Raises ReleaseError
    when the marts cannot be read.
    """

    def __init__(self, settings: Settings, console: Console) -> None:
        self.settings = settings
        self.console = console
        self.connection = _open_marts(settings)
        known = country_names(settings.seeds_dir)
        self.connection.execute(
            "set variable country_names = map(?, ?)",
            [list(known), list(known.values())],
        )
        self.connection.execute(_MACROS)
        self.connection.execute("use marts")  # so that `show tables` shows them

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def rows(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """The rows of a query, by column name. Raises ReleaseError for a mart or column that the
        release, made by other code, does not have."""
        import duckdb

        try:
            return fetched(self.connection.execute(sql, list(parameters)))
        except (duckdb.BinderException, duckdb.CatalogException) as error:
            raise ReleaseError(
                f"The release lacks what this version reads ({str(error).splitlines()[0]}): "
                "`minerals refresh` publishes one that does."
            ) from error

    def show(self, title: str, sql: str, *parameters: Any) -> None:
        """Print the answer to a query as a table."""
        show(self.console, self.rows(sql, *parameters), title)

    def country(self, iso3: str) -> str:
        return country(self.settings, iso3)

    def markets(
        self,
        importer: str | None,
        words: Sequence[str] | None,
        mineral: str | None = None,
        category: str | None = None,
    ) -> Markets:
        """The parameters of `OF_MARKETS`; None stands for all minerals or categories.

        `words` are `[mineral] [category]`; `mineral` and `category`, given as options, override
        them. Raises ReleaseError for a name that the release does not hold.
        """
        held = self.rows("select distinct importer_iso3, mineral from marts.ranking_forward")
        importers, minerals = ({row[key] for row in held} for key in ("importer_iso3", "mineral"))
        said = names.split_market(words, minerals)
        mineral, category = mineral or said[0], category or said[1]
        importer = names.known_importer(importer, self.settings, importers)
        if category is not None:
            category = names.known("category", category, CATEGORIES)
        if mineral is not None:
            made_with = profile(self.settings)
            mineral = names.known_mineral(mineral, self.settings, minerals, made_with)
        return importer, mineral, category

    def require(self, found: Sequence[object], what: str, markets: Markets) -> None:
        """Raise ReleaseError when the release has nothing of these markets."""
        if not found:
            named = " ".join(filter(None, markets[1:])) or "any mineral"
            raise ReleaseError(f"There is no {what} of {named} for {self.country(markets[0])}.")


def _open_marts(settings: Settings) -> "duckdb.DuckDBPyConnection":
    import duckdb

    from minerals.releases.serving import open_serving

    file = settings.serving_database
    try:
        marts = open_serving(file, settings.releases_dir)
        marts.execute("select 1 from marts.ppml_fit limit 1")
        if problem := releases(settings).dangling_pointer():
            raise ReleaseError(problem)
    except duckdb.Error as error:
        release_names(releases(settings))
        raise ReleaseError(
            f"{file} cannot be read ({error}): `minerals releases rollback current` writes it "
            "again, also when it is missing or the warehouse folder was moved."
        ) from error
    return marts
