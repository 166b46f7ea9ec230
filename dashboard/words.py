"""Names, units and labels as people read them. The words of columns come from the release itself.

A converted unit is for the eye only: downloads hold the columns of the mart.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import partial

import pandas as pd

from dashboard import reading

EVIDENCE = {
    "computed": "● computed",
    "verified": "◆ verified",
    "single_source": "◇ single source",
    "unverified": "○ unverified",
    "modelled": "△ modelled",
}
"""How well a figure is supported: by sign and word, so that no colour is needed."""
EVIDENCE_MEANING = (
    "● computed by this release from ingested data · ◆ an official act or two independent "
    "sources · ◇ one source · ○ unverified · △ projection or judgement"
)
VERDICTS = {
    "agrees": "✓ agrees",
    "near": "~ near",
    "differs": "✗ differs",
    "superseded": "↻ superseded",
    "not_computable": "· not computable",
}
"""Of a cited figure beside the computed one, by sign and word."""
SOURCES = {"world_mining_data": "World Mining Data", "bilateral_trade": "Trade"}
HEADINGS = {
    "exporter_iso3": "Supplier",
    "headline_rank": "Rank",
    "forward_rank": "Rank",
    "rank_low": "Rank, low",
    "rank_high": "Rank, high",
    "top_k_probability": "Probability of leading",
    "actual_share": "Today",
    "actual_rank": "Rank of purchases",
    "model_share": "By the model",
    "recommended_share": "Recommended",
    "change_share": "Change",
    "hhi_actual": "HHI today",
    "hhi_recommended": "HHI recommended",
    "top1_exporter_iso3": "Largest supplier",
    "top1_share": "Its share",
    "top3_share": "Three largest",
    "annual_qty_kg": "Bought a year (t)",
    "next_best": "Who replaces",
    "replaceable_share": "Others can replace",
    "lost_share": "Lost",
    "has_minerals_agreement": "Bilateral minerals agreement",
    "supplier_type": "Type",
    "evidence_label": "Support",
    "premium_share": "Against the world's",
    "change_on_year": "Against the year before",
}
"""Of columns whose name says too little; a page may say it otherwise."""
UNITS = {"_usd_per_kg": " (USD/kg)", "_usd": " (USD)", "_kg": " (t)", "_km": " (km)",
         "_pct": " (%)", "_iso3": "", "_share": ""}  # fmt: skip
"""How tables show what a name ends in; shares are in per cent."""
COMPARABLE = 100
"""A unit value this many times another is of other goods, and so is one this small a part of it."""
_WORDS = {
    "auc": "AUC", "cagr": "growth a year", "fdi": "FDI", "gdp": "GDP", "hhi": "HHI", "hs": "HS",
    "id": "ID", "iso3": "", "ln": "log", "lpi": "LPI", "n": "number of", "pct": "%",
    "qty": "quantity", "top1": "largest", "top3": "three largest", "un": "UN", "usd": "USD",
    "usgs": "USGS", "wgi": "governance",
}  # fmt: skip
"""What parts of a name stand for."""
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")
_CODE = re.compile(r"\b[A-Z]{3}\b")
_WITH_CODES = ("rationale", "evidence", "next_best", "shock", "lost_exporters", "entrants", "exits",
               "entered", "left")  # fmt: skip
ON_PRICES = ("premium_share", "change_on_year")
"""Columns that compare unit values, and are shown by `on_price`."""
IMPUTED = "†"
"""Before a value that is filled in rather than observed."""
DOUBTFUL = "≈"
"""Before a figure that rests on a weight which is far off for its price."""

SIGNS = (
    f"{DOUBTFUL} before a figure: it rests on a weight that is far off for its price · "
    f"{IMPUTED}: filled in, not observed"
)


def country(iso3: str) -> str:
    """'India (IND)'; the code alone where the release has no name."""
    name = reading.country_names().get(iso3)
    return f"{name} ({iso3})" if name else str(iso3)


def countries(codes: pd.Series) -> pd.Series:
    """The same of a column, which may hold lists of codes; null stays null."""
    names = reading.country_names()
    return codes.map(
        lambda iso3: f"{names[iso3]} ({iso3})" if iso3 in names else named(iso3, names)
    )


def named(text: object, names: Mapping[str, str] | None = None) -> object:
    """A sentence or list of a mart with 'China (CHN)' for each code in it; null stays null. `names`
    saves a look-up to whoever has many texts."""
    if not isinstance(text, str):
        return text
    by_code = reading.country_names() if names is None else names

    def with_name(found: re.Match[str]) -> str:
        return f"{by_code[found[0]]} ({found[0]})" if found[0] in by_code else found[0]

    return _CODE.sub(with_name, text)


def evidence(labels: pd.Series) -> pd.Series:
    """Evidence labels with their signs."""
    return labels.map(lambda label: EVIDENCE.get(label, label))


def plain(text: object) -> object:
    """A name that a mart uses, in words: 'in force' for in_force, 'log GDP' for ln_gdp. Any other
    text, and null, stay."""
    if not isinstance(text, str) or not _NAME.fullmatch(text):
        return text
    parts = (_WORDS.get(part, part) for part in text.split("_"))
    return " ".join(filter(None, parts)).replace("% ", "% of ")


def strategy(name: str) -> str:
    """A strategy in words: 'Secure long term'."""
    return _capital(str(plain(name)))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def source(dataset: str) -> str:
    """A data set of world supply, short: 'USGS 2026', 'World Mining Data'."""
    return SOURCES.get(dataset, dataset.replace("usgs_mcs_", "USGS "))


def heading(column: str) -> str:
    """'HS code' for `hs_code`, 'Unit value (USD/kg)' for `unit_value_usd_per_kg`."""
    if column in HEADINGS:
        return HEADINGS[column]
    unit = ""
    for ending, of_ending in UNITS.items():
        if column.endswith(ending):
            column, unit = column.removesuffix(ending), of_ending
            break
    words = column.removeprefix("is_")
    return _capital(str(plain(words)) if "_" in words else _WORDS.get(words, words)) + unit


def marked(texts: pd.Series, is_so: pd.Series, sign: str = DOUBTFUL) -> pd.Series:
    """The texts, with the sign before those where `is_so` holds."""
    return texts.where(~is_so, sign + " " + texts)


def markets(rows: pd.DataFrame) -> pd.Series:
    """'Copper, ores' for each row, marked where its weight `is_doubtful`."""
    return marked(rows["mineral"] + ", " + rows["category"], rows["is_doubtful"])


def readable(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows for the eye: countries by name and code, kg as tons, evidence with signs.
    Column names stay."""
    shown = frame.copy()
    for column in shown.columns:
        if column.endswith("_iso3"):
            shown[column] = countries(shown[column])
        elif column.endswith("_kg") and not column.endswith("_per_kg"):
            shown[column] = shown[column].astype("float64") / 1000
        elif column.endswith(("evidence_label", "score_label", "severity_label")):
            shown[column] = evidence(shown[column])
        elif column == "verdict":
            shown[column] = shown[column].map(lambda name: VERDICTS.get(name, name))
        elif column in _WITH_CODES:
            shown[column] = shown[column].map(partial(named, names=reading.country_names()))
        elif column == "source_dataset":
            shown[column] = shown[column].map(source, na_action="ignore")
        elif column == "strategy":
            shown[column] = shown[column].map(strategy, na_action="ignore")
        elif column in ON_PRICES:
            shown[column] = shown[column].map(on_price)
        elif not column.endswith("_id") and shown[column].dtype in ("object", "str"):
            shown[column] = shown[column].map(plain)
    return shown


def in_reading_unit(values: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Rows with `value` and `unit`, kg as tons; and the unit."""
    unit = values["unit"].iloc[0]
    if unit != "kg":
        return values.copy(), unit
    return values.assign(value=values["value"] / 1000), "t"


def is_share(column: str) -> bool:
    """Whether a column holds shares, probabilities or growth, which tables show in per cent."""
    parts = {"share", "probability", "growth", "cagr", "saved"}
    if column in ON_PRICES:
        return False
    return bool(parts & set(column.split("_"))) or column.startswith("change_on_")


def amount(value: float | None, unit: str = "") -> str:
    """A figure for a tile: '12.3 billion USD', '4,520 t'; 'none' where there is none."""
    if value is None or pd.isna(value):
        return "none"
    for size, word in ((1e9, "billion "), (1e6, "million "), (1, "")):
        if abs(value) >= size:
            digits = 1 if size > 1 or abs(value) < 100 else 0
            return f"{value / size:,.{digits}f} {word}{unit}".strip()
    return f"{value:,.2g} {unit}".strip()


def percent(share: float | None) -> str:
    """'12%'; 'none' where there is none."""
    return "none" if share is None or pd.isna(share) else f"{share:.0%}"


def on_price(share: float | None) -> str | None:
    """A unit value above or below another, from their ratio less one: '+12%', '3.4 times', and
    'other goods' beyond `COMPARABLE`; null stays null."""
    if share is None or pd.isna(share):
        return None
    ratio = share + 1
    if not 1 / COMPARABLE <= ratio <= COMPARABLE:
        return "other goods"
    return f"{share:+.0%}" if ratio < 2 else f"{ratio:.1f} times"


def figure(value: float | None) -> str:
    """A bare number with three digits; 'none' where there is none."""
    return "none" if value is None or pd.isna(value) else f"{value:,.3g}"


def cell(column: str, value: object, missing: str = "none") -> str:
    """A value of a readable table as text: shares in per cent (they come times 100)."""
    if value is None or pd.isna(value):
        return missing
    if pd.api.types.is_bool(value):
        return "yes" if value else "no"
    if isinstance(value, float) and not column.endswith("year"):
        if is_share(column):
            return f"{value:.0f}%"
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"
    if isinstance(value, float):
        return f"{value:.0f}"
    return f"{value:%d %B %Y}" if hasattr(value, "strftime") else str(value)


def age(passed: timedelta) -> str:
    """'25 minutes', '7 hours', '4 days'."""
    minutes = int(passed.total_seconds()) // 60
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 4320 else f"{minutes // 1440} days"
