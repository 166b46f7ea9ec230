"""Charts and tables, each with its downloads and a line that names source, licence and release."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from dashboard import reading, words
from minerals.marts import Column

COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#F0E442"]
"""Okabe and Ito's, told apart with every kind of colour blindness."""
GREY = "#8A8A8A"
TRADE = ("bilateral_trade",)
EVERY_DATASET = ("bilateral_trade", "production", "country_indicators", "country_geography")
USGS = "USGS Mineral Commodity Summaries (public domain)"
_EXPORT = {
    "export": {"png": True, "svg": True},
    "source": False,
    "compiled": False,
    "editor": False,
}


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
        column.metric(label, figure, help=why, border=True)


def chart(
    drawing: alt.TopLevelMixin,
    rows: pd.DataFrame,
    name: str,
    description: str,
    datasets: Sequence[str] = EVERY_DATASET,
    also: str = "",
) -> None:
    """A chart with PNG and SVG in its menu, and the rows behind it as CSV and Excel.

    `rows` has the columns of the mart, as downloaded. `description` is what a screen reader says.
    """
    file = f"{name}-{reading.pinned().release_id}"
    options = {"embedOptions": {"actions": _EXPORT, "downloadFileName": file}}
    drawing = drawing.properties(usermeta=options, description=description)
    st.altair_chart(drawing, width="stretch")
    _downloads(rows, name, datasets, also)


def table(
    rows: pd.DataFrame,
    name: str,
    datasets: Sequence[str] = EVERY_DATASET,
    headings: Mapping[str, str] | None = None,
    height: int | str = "auto",
    also: str = "",
    doubtful: str | None = None,
    missing: str = "none",
) -> None:
    """A table of rows of a mart: names for codes, tons for kg, per cent for shares. Its columns'
    meaning is shown on their heading. `doubtful` names a boolean column: where it holds, the
    quantity beside it is marked. `missing` is shown where there is no value."""
    shown = words.readable(rows)
    if doubtful is not None:
        marks = rows[doubtful].map(lambda is_so: words.DOUBTFUL if is_so else "")
        shown = shown.drop(columns=doubtful)
        shown.insert(0, words.DOUBTFUL, marks)
    st.dataframe(
        shown,
        hide_index=True,
        height=height,
        column_config={column: _column(column, headings or {}) for column in shown.columns},
        placeholder=missing,
        alt=f"Table {name}",
    )
    if any(column.endswith("evidence_label") for column in rows.columns):
        st.caption(words.EVIDENCE_MEANING)
    if doubtful is not None and rows[doubtful].any():
        st.caption(f"{words.DOUBTFUL} rests on a weight that is far off for its price.")
    _downloads(rows, name, datasets, also)


@dataclass(frozen=True)
class Origin:
    """Where rows come from, as their downloads say it. Files are made in another thread, which has
    no session to ask."""

    release_id: str
    sources: pd.DataFrame
    also: str
    columns: Mapping[str, Column]

    @property
    def line(self) -> str:
        """Source, licence and release in a sentence."""
        by_provider = self.sources.drop_duplicates("provider")
        named = [f"{row.provider} ({row.licence})" for row in by_provider.itertuples()]
        return f"Source: {'; '.join(filter(None, [*named, self.also]))}. Release {self.release_id}."


def origin(datasets: Sequence[str] = EVERY_DATASET, also: str = "") -> Origin:
    """Of rows that rest on these datasets and on `also`, a source that is no snapshot."""
    held = reading.rows("select * exclude (release_id) from marts.source_snapshots order by all")
    held = held[held["dataset"].isin(datasets)].drop_duplicates("dataset")
    return Origin(reading.pinned().release_id, held, also, reading.columns())


def as_csv(rows: pd.DataFrame, origin: Origin) -> bytes:
    """The rows with release, source and licence in columns of their own."""
    signed = rows.assign(
        release_id=origin.release_id,
        source="; ".join(filter(None, [*dict.fromkeys(origin.sources["provider"]), origin.also])),
        licence="; ".join(dict.fromkeys(origin.sources["licence"])),
    )
    return signed.to_csv(index=False).encode()


def as_excel(rows: pd.DataFrame, origin: Origin) -> bytes:
    """A workbook: the rows; what each column means; source, licence and release."""
    known = origin.columns
    meanings = [
        [c, known[c].unit, known[c].description] if c in known else [c, "", ""]
        for c in rows.columns
    ]
    about = origin.sources[["dataset", "provider", "licence", "citation", "snapshot_id"]]
    about = about.assign(also=origin.also, release_id=origin.release_id)
    book = io.BytesIO()
    with pd.ExcelWriter(book, engine="xlsxwriter") as writer:
        rows.to_excel(writer, sheet_name="rows", index=False, freeze_panes=(1, 0))
        described = pd.DataFrame(meanings, columns=["column", "unit", "meaning"])
        described.to_excel(writer, sheet_name="columns", index=False)
        about.to_excel(writer, sheet_name="source", index=False)
        for sheet in writer.sheets.values():
            sheet.autofit(max_width=500)
    return book.getvalue()


def _downloads(rows: pd.DataFrame, name: str, datasets: Sequence[str], also: str) -> None:
    """The source line, and the two files; they are made when somebody asks for them."""
    known = origin(datasets, also)
    with st.container(horizontal=True, vertical_alignment="center", key=f"files_{name}"):
        st.caption(known.line, width="stretch")
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


def _column(name: str, headings: Mapping[str, str]) -> Any:
    known = reading.columns().get(name)
    label = headings.get(name, words.heading(name))
    about = {"label": label, "help": known.description if known else None}
    if name == words.DOUBTFUL:
        return st.column_config.TextColumn(name, width=30)
    if name.endswith(("_share", "_probability", "_overlap")):
        return st.column_config.NumberColumn(**about, format="percent")
    if name.endswith(("_usd", "_kg")) and not name.endswith("_per_kg"):
        return st.column_config.NumberColumn(**about, format="localized")
    if name.endswith(("_usd_per_kg", "_ratio")) or name.startswith("hhi"):
        return st.column_config.NumberColumn(**about, format="%.3g")
    if name in ("year",) or name.endswith("_year"):
        return st.column_config.NumberColumn(**about, format="%d")
    return st.column_config.Column(**about)
