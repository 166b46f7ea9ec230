"""Charts and tables, each with its downloads and a line that names source, licence and release."""

import io
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from html import escape
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from dashboard import reading, words
from minerals.marts import Column
from minerals.names import CATEGORIES

COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#F0E442"]
"""Okabe and Ito's, told apart with every kind of colour blindness."""
GREY = "#8A8A8A"
LONGEST_WORKBOOK = 50_000
"""Rows of an Excel file that is written while somebody waits."""
AMOUNT_AXIS = alt.Axis(
    labelExpr="replace(replace(format(datum.value, '~s'), 'G', ' bn'), 'M', ' m')"
)
"""Of USD and tons: 1.2 bn, 350 m, 20k."""
INK = {"labelColor": "#595959", "titleColor": "#595959"}
"""Of what is written on axes and legends: 4.5 to 1 against the page, as all text."""
YEAR_AXIS = alt.Axis(labelAngle=0, labelOverlap=True)
TRADE = ("bilateral_trade",)
EVERY_DATASET = ("bilateral_trade", "production", "country_indicators", "country_geography")
USGS = "USGS Mineral Commodity Summaries (public domain)"
DOCUMENTS = "the documents named in the rows"
WHOLE_MART = "the sources named in its rows and in marts.source_snapshots"
LINE = 130  # characters of the source under a chart as wide as the page of a small screen
LONGEST_CELL = 70  # characters that the widest column shows
LABEL = {1: 240, 2: 170, 3: 110}  # pixels of a label at most, by the charts that stand side by side


def title(name: str, question: str) -> None:
    """The page's name and the question that it answers."""
    st.title(name, anchor=False)
    st.markdown(f"*{question}*")


def empty(rows: pd.DataFrame, of_what: str) -> bool:
    """Whether there is nothing to show; says so on the page."""
    if rows.empty:
        st.info(f"No data in this release: {of_what}.")
    return rows.empty


def tiles(figures: Mapping[str, tuple[str, str]]) -> None:
    """Figures side by side: label to (figure, explanation)."""
    for column, (label, (figure, why)) in zip(
        st.columns(len(figures)), figures.items(), strict=True
    ):
        column.metric(label, figure, help=why, border=True, height="stretch")


def chart(
    drawing: alt.TopLevelMixin,
    rows: pd.DataFrame,
    name: str,
    description: str,
    datasets: Sequence[str] = EVERY_DATASET,
    also: str = "",
    is_faceted: bool = False,
    beside: int = 1,
) -> None:
    """A chart that its toolbar saves as PNG, with its source in the picture, and the rows behind it
    as CSV and Excel.

    `rows` has the columns of the mart, as downloaded. `description` is what a screen reader says.
    A chart of several panels (`is_faceted`) has its own width, any other that of the page, or of
    its column where `beside` charts stand side by side.
    """
    known = origin(datasets, also)
    source = alt.TitleParams(
        textwrap.wrap(known.line, LINE // beside),
        color="#5F6368",
        fontSize=11,
        fontWeight="normal",
        orient="bottom",
        anchor="start",
        frame="bounds",
        offset=8,
    )
    drawing = drawing.properties(
        title=source,
        description=description,
        autosize=alt.AutoSizeParams(type="pad" if is_faceted else "fit-x", contains="padding"),
        config={
            "axis": {"labelLimit": LABEL[beside], "titleLimit": 400, **INK},
            "legend": {"labelLimit": 240, **INK},
            "header": INK,
        },
    )
    st.altair_chart(drawing, width="content" if is_faceted else "stretch")
    _downloads(rows, name, known, has_line=False)


def bars(rows: pd.DataFrame, share: str, title: str, by: str) -> alt.Chart:
    """Horizontal bars of shares in the order of the rows, the figure at the end of each."""
    shown = words.readable(rows)
    base = alt.Chart(shown, height=height(len(shown))).encode(
        alt.Y(f"{by}:N", title=None, sort=None),
        alt.X(
            f"{share}:Q",
            title=title,
            axis=alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1]),
            scale=alt.Scale(domain=[0, 1.15]),  # room for the figure
        ),
    )
    figure = base.mark_text(align="left", dx=4).encode(alt.Text(f"{share}:Q", format=".1%"))
    return base.mark_bar(color=COLOURS[0]) + figure


def colour(
    column: str, names: Iterable[Any] = (), palette: Sequence[str] = COLOURS, **legend: Any
) -> alt.Color:
    """The colours of a column's values, of `names` in their order, with the legend on top."""
    domain = list(names) or alt.Undefined
    return alt.Color(
        f"{column}:N",
        title=None,
        scale=alt.Scale(domain=domain, range=palette),
        legend=alt.Legend(**{"orient": "top", **legend}),
    )


def tips(*columns: str, **formatted: str) -> list[alt.Tooltip]:
    """What a chart says of the mark under the pointer: columns by their headings; the last ones
    with a format of their own."""
    formats: dict[str, Any] = {**dict.fromkeys(columns, alt.Undefined), **formatted}
    return [alt.Tooltip(c, title=words.heading(c), format=f) for c, f in formats.items()]


def by_category(drawing: alt.Chart) -> alt.Chart:
    """USD by year (`value_usd`, `year`), a colour for each category."""
    return drawing.encode(
        alt.X("year:O", title=None, axis=YEAR_AXIS),
        alt.Y("value_usd:Q", title="USD", axis=AMOUNT_AXIS),
        colour("category", CATEGORIES),
        tooltip=tips("category", "year", value_usd=",.0f"),
    )


def colours(names: Sequence[str]) -> alt.Scale:
    """A colour for each name, in their order; grey for 'Other'."""
    named = [name for name in dict.fromkeys(names) if name != "Other"]
    picked = [COLOURS[i % len(COLOURS)] for i in range(len(named))]
    return alt.Scale(domain=[*named, "Other"], range=[*picked, GREY])


def height(n_rows: int, each: int = 24) -> int:
    """Of a chart with that many bars of `each` pixels."""
    return each * n_rows + 12


def table(
    rows: pd.DataFrame,
    name: str,
    datasets: Sequence[str] = EVERY_DATASET,
    headings: Mapping[str, str] | None = None,
    also: str = "",
    doubtful: str | None = None,
    missing: str = "none",
    on_paper: bool = False,
) -> None:
    """A table of rows of a mart: names for codes, tons for kg, per cent for shares. Its columns'
    meaning is shown on their heading. `doubtful` names a boolean column: where it holds, the
    quantity beside it is marked. `missing` is shown where there is no value. `on_paper` writes
    every row and column out, so that they print."""
    shown = words.readable(rows)
    shares = [column for column in shown.columns if words.is_share(column)]
    shown[shares] = shown[shares].astype("float64") * 100
    if doubtful is not None:
        marks = rows[doubtful].map(lambda is_so: words.DOUBTFUL if is_so else "")
        shown = shown.drop(columns=doubtful)
        shown.insert(0, words.DOUBTFUL, marks)
    if on_paper:
        texts = {c: shown[c].map(partial(words.cell, c, missing=missing)) for c in shown.columns}
        titles = {c: (headings or {}).get(c, words.heading(c)) for c in shown.columns}
        st.table(pd.DataFrame(texts).rename(columns=titles), hide_index=True, border="horizontal")
    else:
        _grid(shown, name, headings or {}, missing)
    if any(column.endswith("evidence_label") for column in rows.columns):
        st.caption(words.EVIDENCE_MEANING)
    _downloads(rows, name, origin(datasets, also))


def _grid(shown: pd.DataFrame, name: str, headings: Mapping[str, str], missing: str) -> None:
    """The grid of a table. Where texts are longer than a cell, a row that is picked is written out
    below it whole."""
    lengths = {
        column: int(shown[column].map(len, na_action="ignore").max())
        for column in shown.columns
        if shown[column].map(lambda value: isinstance(value, str)).any()
    }
    config = {c: _column(c, headings, lengths.get(c, 0)) for c in shown.columns}
    given = {"hide_index": True, "column_config": config, "placeholder": missing}
    if max(lengths.values(), default=0) <= LONGEST_CELL:
        st.dataframe(shown, alt=f"Table {name}", **given)
        return
    picked = st.dataframe(
        shown,
        alt=f"Table {name}; a row that you pick is written out below it",
        key=f"grid_{name}",
        on_select="rerun",
        selection_mode="single-row",
        **given,
    )
    st.caption("Pick a row at its left edge to read it whole below.")
    for place in picked["selection"]["rows"]:
        if place < len(shown):
            row = shown.iloc[place]
            st.html(
                "<dl class='row'>"
                + "".join(
                    f"<dt>{escape(headings.get(column, words.heading(column)))}</dt>"
                    f"<dd>{escape(words.cell(column, value, missing))}</dd>"
                    for column, value in row.items()
                    if column != words.DOUBTFUL or value
                )
                + "</dl>"
            )


@dataclass(frozen=True)
class Origin:
    """Where rows come from, as their downloads say it. Files are made in another thread, which has
    no session to ask."""

    release_id: str
    sources: pd.DataFrame
    also: str
    columns: Mapping[str, Column]

    @cached_property
    def line(self) -> str:
        """Source, licence and release in a sentence."""
        by_provider = self.sources.drop_duplicates("provider")
        named = [f"{row.provider} ({row.licence})" for row in by_provider.itertuples()]
        return f"Source: {'; '.join(filter(None, [*named, self.also]))}. Release {self.release_id}."


def origin(datasets: Sequence[str] = EVERY_DATASET, also: str = "") -> Origin:
    """Of rows that rest on these datasets and on `also`, a source that is no snapshot."""
    return _origin(reading.pinned().release_id, tuple(datasets), also)


@st.cache_resource(max_entries=200, show_spinner=False)
def _origin(release_id: str, datasets: tuple[str, ...], also: str) -> Origin:
    held = reading.rows("select * exclude (release_id) from marts.source_snapshots order by all")
    held = held[held["dataset"].isin(datasets)].drop_duplicates("dataset")
    return Origin(release_id, held, also, reading.columns())


def as_csv(rows: pd.DataFrame, origin: Origin) -> bytes:
    """The rows with release, source and licence in columns of their own, except those that the mart
    has itself."""
    providers = dict.fromkeys(origin.sources["provider"])
    signs = {
        "release_id": origin.release_id,
        "source": "; ".join(filter(None, [*providers, origin.also])),
        "licence": "; ".join(dict.fromkeys(origin.sources["licence"])),
    }
    lacking = {name: text for name, text in signs.items() if text and name not in rows}
    return rows.assign(**lacking).to_csv(index=False).encode()


def as_excel(rows: pd.DataFrame, origin: Origin) -> bytes:
    """A workbook: the rows; what each column means; source, licence and release."""
    known = origin.columns
    meanings = [
        [c, known[c].unit, known[c].description] if c in known else [c, "", ""]
        for c in rows.columns
    ]
    sources = origin.sources.to_dict("records") + [{"provider": origin.also}] * bool(origin.also)
    about = pd.DataFrame(
        sources, columns=["dataset", "provider", "licence", "citation", "snapshot_id"]
    ).assign(release_id=origin.release_id)
    book = io.BytesIO()
    with pd.ExcelWriter(book, engine="xlsxwriter") as writer:
        rows.to_excel(writer, sheet_name="rows", index=False, freeze_panes=(1, 0))
        described = pd.DataFrame(meanings, columns=["column", "unit", "meaning"])
        described.to_excel(writer, sheet_name="columns", index=False)
        about.to_excel(writer, sheet_name="source", index=False)
        for sheet in writer.sheets.values():
            sheet.autofit(max_width=500)
    return book.getvalue()


def sanctions(importer: str) -> None:
    """Beside suppliers that one could buy from: what no mart knows, and who is left out."""
    excluded = reading.rows(
        """
        select distinct exporter_iso3 from marts.portfolio_partners
        where importer_iso3 = $importer and role = 'excluded'
        order by 1
        """,
        importer=importer,
    )["exporter_iso3"]
    named = ", ".join(words.countries(excluded)) or "nobody"
    st.caption(
        "There is no register of sanctions or embargoes here: check a supplier before you buy. "
        f"Excluded by the settings of this release: {named}."
    )


def years_table(cells: pd.DataFrame, name: str, unit: str, has_weight: bool) -> None:
    """Suppliers in rows, years in columns. `cells` has exporter_iso3, year, amount (USD or kg),
    is_unknown and is_doubtful. No trade, trade of unknown quantity, a doubtful weight and zero look
    different when a weight is shown (`has_weight`)."""
    amount = cells["amount"] / 1000 if has_weight else cells["amount"]
    text = amount.map(lambda value: "unknown" if pd.isna(value) else f"{value:,.4g}")
    text = amount.where(amount >= 1000).map("{:,.0f}".format, na_action="ignore").fillna(text)
    if has_weight:
        text = words.marked(text, cells["is_doubtful"])
        text = words.marked(text, cells["is_unknown"] & (text != "unknown"), ">")
    shown = cells.assign(text=text, exporter_iso3=words.countries(cells["exporter_iso3"]))
    order = shown.groupby("exporter_iso3")["amount"].sum().sort_values(ascending=False).index
    wide = shown.pivot(index="exporter_iso3", columns="year", values="text").loc[order]
    wide = wide[sorted(wide.columns, reverse=True)]
    wide.columns = wide.columns.map(str)
    wide.index.name = f"Supplier, {unit}"
    st.dataframe(
        wide,
        placeholder="no trade",
        column_config={year: st.column_config.TextColumn(width=85) for year in wide.columns},
        alt=f"Table {name}",
    )
    if has_weight:
        st.caption(
            f"{words.DOUBTFUL} rests on a weight that is far off for its price · unknown: trade "
            "without a known quantity · > at least: a part of the trade has no known quantity"
        )
    _downloads(cells, name, origin(TRADE))


def values_table(
    values: pd.DataFrame, countries: Sequence[str], name: str, datasets: Sequence[str]
) -> None:
    """Years in rows, countries in columns, newest first. `values` has country_iso3, year, value,
    unit and is_imputed; a cell without a row is no observation, a null value is unknown."""
    scaled, unit = words.in_reading_unit(values)
    texts = scaled["value"].map(lambda value: words.cell("value", value, "unknown"))
    texts = words.marked(texts, scaled["is_imputed"], words.IMPUTED)
    wide = scaled.assign(text=texts).pivot(index="year", columns="country_iso3", values="text")
    wide = wide.reindex(columns=countries).sort_index(ascending=False).fillna("-")
    wide.columns = [words.country(iso3) for iso3 in wide.columns]
    wide.index = pd.Index([str(year) if year else "all years" for year in wide.index], name="Year")
    st.table(wide, border="horizontal")
    st.caption(
        f"In {unit}. {words.IMPUTED} imputed · unknown: a row without a figure, which is not zero "
        "· - no observation; in trade, no flow"
    )
    _downloads(values, name, origin(datasets))


def whole_mart(name: str, n_rows: int, where: str, asked: Mapping[str, Any]) -> None:
    """A mart, or the rows of it that `where` picks, as CSV, Excel and Parquet: read and written
    when somebody asks for them."""
    known = origin((), WHOLE_MART)
    select = f"select * from marts.{name} {where} order by {', '.join(reading.mart(name).key)}"
    ask = reading.later(select, **asked)
    forms: dict[str, tuple[str, Callable[[pd.DataFrame], bytes]]] = {
        "csv": ("CSV", partial(as_csv, origin=known)),
        "xlsx": ("Excel", partial(as_excel, origin=known)),
        "parquet": ("Parquet", partial(pd.DataFrame.to_parquet, index=False)),
    }
    with st.container(key="files_whole_mart", horizontal=True, gap="small"):
        for ending, (label, make) in forms.items():
            is_too_long = ending == "xlsx" and n_rows > LONGEST_WORKBOOK
            st.download_button(
                label,
                data=lambda make=make: make(ask()),
                file_name=f"{name}-{known.release_id}.{ending}",
                key=f"whole_mart_{ending}",
                on_click="ignore",
                icon=":material/download:",
                disabled=is_too_long,
                help=f"More than {LONGEST_WORKBOOK:,} rows: pick fewer, or take CSV or Parquet."
                if is_too_long
                else f"Every row of {name}",
            )
    st.caption(known.line)


def meanings(name: str) -> None:
    """What each column of a mart means, with its type and unit."""
    known = reading.mart(name).columns
    told = [[c.name, c.type, c.unit, c.description] for c in known]
    st.dataframe(
        pd.DataFrame(told, columns=["Column", "Type", "Unit", "Meaning"]),
        hide_index=True,
        alt=f"Columns of {name}",
    )


def _downloads(rows: pd.DataFrame, name: str, known: Origin, has_line: bool = True) -> None:
    """The two files, made when somebody asks for them, and the source line."""
    with st.container(key=f"files_{name}", gap="xxsmall"):
        with st.container(horizontal=True, gap="small"):
            for ending, label, make in (("csv", "CSV", as_csv), ("xlsx", "Excel", as_excel)):
                st.download_button(
                    label,
                    data=partial(make, rows, known),
                    file_name=f"{name}-{known.release_id}.{ending}",
                    key=f"{name}_{ending}",
                    on_click="ignore",
                    type="tertiary",
                    icon=":material/download:",
                    help=f"The rows of '{name}' with the columns of the mart",
                )
        if has_line:
            st.caption(known.line)


def _column(name: str, headings: Mapping[str, str], length: int = 0) -> Any:
    known = reading.columns().get(name)
    label = headings.get(name, words.heading(name))
    about = {"label": label, "help": known.description if known else None}
    if name == words.DOUBTFUL:
        return st.column_config.TextColumn(name, width=30)
    if name in words.ON_PRICES:
        return st.column_config.TextColumn(**about)
    if words.is_share(name):
        return st.column_config.NumberColumn(**about, format="%.1f%%")
    if name.endswith(("_usd", "_kg")) and not name.endswith("_per_kg"):
        return st.column_config.NumberColumn(**about, format="localized")
    if name.endswith(("_usd_per_kg", "_ratio")) or name.startswith("hhi"):
        return st.column_config.NumberColumn(**about, format="%.3g")
    if name.endswith("_date"):
        return st.column_config.DateColumn(**about, format="YYYY-MM-DD")
    if name in ("year",) or name.endswith("_year"):
        return st.column_config.NumberColumn(**about, format="%d")
    return st.column_config.Column(
        **about, width=LONGEST_CELL * 7 if length > LONGEST_CELL else None
    )
