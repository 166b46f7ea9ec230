"""The choices of a reader. They live in the address, so that a copied link shows the same page, and
go with the reader from page to page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard import reading
from dashboard.words import country
from minerals.names import CATEGORIES

CHOSEN = "chosen"  # of the session: name of the choice to its text, as last written to the address

UNCHOSEN = "unchosen"  # of the session: names whose default nobody has chosen


@dataclass(frozen=True)
class Market:
    """One importer, mineral and category."""

    importer: str
    mineral: str
    category: str

    @property
    def keys(self) -> dict[str, str]:
        """The parameters of `OF_MARKET`."""
        return {"importer": self.importer, "mineral": self.mineral, "category": self.category}

    @property
    def words(self) -> str:
        return f"{self.mineral}, {self.category}, imports of {country(self.importer)}"


OF_MARKET = "importer_iso3 = $importer and mineral = $mineral and category = $category"


def importers() -> list[str]:
    """The importing countries that the release holds, by name."""
    held = reading.rows("select distinct importer_iso3 from marts.ppml_fit")
    return sorted(held["importer_iso3"], key=country)


def importer() -> str:
    """One of `importers`; first the one that the settings name first."""
    first = reading.settings().first_importer
    return choice("importer", "Importer", importers(), first, words=country)


def mineral(**options: Any) -> str:
    """One of the study's minerals; a market without data says so on the page."""
    names = list(reading.rows("select mineral from marts.dim_mineral order by 1")["mineral"])
    return choice("mineral", "Mineral", names, default="Lithium", **options)


def category() -> str:
    """What is imported: ores, products or scrap."""
    return choice("category", "Category", list(CATEGORIES), default="products")


def offer_categories(market: Market, mart: str) -> None:
    """Buttons that choose one of the categories for which a mart has the importer and mineral."""
    held = reading.rows(
        f"select distinct category from marts.{mart} "
        "where importer_iso3 = $importer and mineral = $mineral",
        importer=market.importer,
        mineral=market.mineral,
    )
    for name in CATEGORIES:
        if name in set(held["category"]):
            st.button(f"Show {name}", on_click=_write_address, args=("category", name))


def _write_address(name: str, text: str) -> None:
    st.query_params[name] = text


def market() -> Market:
    """Importer, mineral and category, as most pages need them."""
    return Market(importer(), mineral(), category())


def choice(
    name: str,
    label: str,
    options: Sequence[Any],
    default: Any = None,
    words: Callable[[Any], str] = str,
    **more: Any,
) -> Any:
    """One of `options`, chosen in the side bar and kept in the address under `name`.

    `default` is the first option unless given and there. An option in the address that does not
    exist is reported on the page, and the default is used.
    """
    by_text = {str(option): option for option in options}
    first = default if default in options else options[0]
    if (text := _asked(name, str(first))) not in by_text:
        _refuse(name, label, text, list(by_text))
        text = str(first)
    st.session_state[_key(name)] = by_text[text]
    picked = st.sidebar.selectbox(label, options, key=_key(name), format_func=words, **more)
    _write(name, str(picked))
    return picked


def choices(
    name: str,
    label: str,
    options: Sequence[str],
    default: Sequence[str] = (),
    words: Callable[[str], str] = str,
    at_most: int = 5,
    gives_way: bool = False,
) -> list[str]:
    """Up to `at_most` of `options`, kept in the address with commas between them. A default that
    `gives_way` leaves when the reader adds the first choice of their own."""
    asked = [text for text in _asked(name, ",".join(default)).split(",") if text]
    unchosen = st.session_state.setdefault(UNCHOSEN, set())
    if gives_way and name not in st.session_state[CHOSEN] and _typed(name) is None:
        unchosen.add(name)
    elif name in unchosen and asked != list(default):
        unchosen.remove(name)
        asked = [text for text in asked if text not in default] or asked
    if unknown := [text for text in asked if text not in options]:
        _refuse(name, label, ", ".join(unknown), options)
    st.session_state[_key(name)] = [text for text in asked if text in options][:at_most]
    picked = st.sidebar.multiselect(
        label, options, key=_key(name), format_func=words, max_selections=at_most
    )
    _write(name, ",".join(picked))
    return picked


def years(name: str, label: str, first: int, last: int) -> tuple[int, int]:
    """Two years between `first` and `last`, kept in the address as 1995-2024."""
    if first == last:
        return first, last
    asked = _asked(name, f"{first}-{last}")
    try:
        low, high = (min(max(int(year), first), last) for year in asked.split("-"))
    except ValueError:
        _refuse(name, label, asked, [f"{first}-{last}"])
        low, high = first, last
    st.session_state[_key(name)] = (min(low, high), max(low, high))
    picked = st.sidebar.slider(label, first, last, key=_key(name))
    _write(name, "-".join(map(str, picked)))
    return picked


def switch(name: str, label: str) -> bool:
    """Something to be shown on request, on the page itself; kept in the address as 1."""
    st.session_state[_key(name)] = _asked(name, "0") in {"1", "True"}
    is_on = st.toggle(label, key=_key(name))
    _write(name, str(int(is_on)))
    return is_on


def _key(name: str) -> str:
    return f"filter_{name}"


def _typed(name: str) -> str | None:
    """What an address says that somebody typed, followed or went back to."""
    address = st.query_params.get(name)
    return None if address == st.session_state.setdefault(CHOSEN, {}).get(name) else address


def _asked(name: str, default: str) -> str:
    """What is wanted, as text: what the address says anew; the reader's last click; what was chosen
    on another page; the default."""
    if (typed := _typed(name)) is not None:
        return typed
    address, clicked = st.query_params.get(name), st.session_state.get(_key(name))
    if clicked is not None and address is not None:
        if isinstance(clicked, tuple):
            return "-".join(map(str, clicked))
        return ",".join(clicked) if isinstance(clicked, list) else str(clicked)
    return st.session_state[CHOSEN].get(name, default)


def _write(name: str, text: str) -> None:
    st.session_state[CHOSEN][name] = text
    if st.query_params.get(name) != text:
        st.query_params[name] = text


def _refuse(name: str, label: str, asked: str, options: Sequence[str]) -> None:
    """Say what the address asks for in vain; what another page chose just gives way."""
    if _typed(name) is not None:
        shown = ", ".join(options[:12]) + (", ..." if len(options) > 12 else "")
        st.warning(f"{label} {asked} is not available here. Available: {shown}.")
