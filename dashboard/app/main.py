"""What Streamlit runs: the header with the release, and the pages. `minerals dashboard` starts it.

A new page is a file under `dashboard/pages/` and an entry in `PAGES`. This script lies in a folder
of its own: of a folder `pages` beside it Streamlit would make a menu itself, without the header.
"""

from datetime import UTC, datetime
from pathlib import Path

import streamlit as st

from dashboard import reading, words
from minerals.errors import MineralsError

PAGES = {
    "": {"overview": "Overview", "mineral": "Mineral", "partner": "Partner"},
    "Supply": {
        "imports": "Imports",
        "world_supply": "World supply",
        "explore": "Explore indicators",
    },
    "Decide": {
        "ranking": "Ranking",
        "portfolio": "Portfolio",
        "shocks": "Shocks and policy events",
    },
    "Policy": {
        "agreements": "Agreements and attributes",
        "chokepoints": "Chokepoints",
        "demand": "Demand and recycling",
        "signals": "Signals",
    },
    "Check": {"study": "Study and check figures", "data": "Data and downloads"},
}
SECONDS_BETWEEN_LOOKS = 15  # for a newer release, while a page is open

_STYLE = Path(__file__).with_name("style.css")
_PAGES_FOLDER = Path(__file__).parents[1] / "pages"


@st.fragment(run_every=SECONDS_BETWEEN_LOOKS)
def newer_release() -> None:
    """Offer the release that was published since this session began."""
    newest = reading.newest()
    if newest == st.session_state[reading.PIN]:
        return
    with st.container(key="newer", horizontal=True, vertical_alignment="center"):
        st.info(f"A newer release is available: {newest.name}.")
        if st.button("Show the newer release", type="primary"):
            reading.take_newest()
            st.rerun()


def header() -> None:
    """Which release is read and how old it is."""
    release = reading.pinned()
    age = words.age(datetime.now(UTC) - release.made_at)
    facts = reading.rows("from marts.dim_release").iloc[0]
    st.caption(
        f"Release `{release.release_id}` · published {release.made_at:%d %B %Y %H:%M} UTC, "
        f"{age} ago · model of {facts['first_year']}-{facts['last_year']} · "
        f"importers: {facts['n_importers']} · {facts['profile']} data"
    )
    st.caption(words.SIGNS)
    newer_release()


def pages() -> dict[str, list[st.Page]]:
    """The pages of the side bar, by section; the first is where an address without a page leads."""
    first = next(iter(next(iter(PAGES.values()))))
    return {
        section: [
            st.Page(_PAGES_FOLDER / f"{name}.py", title=title, url_path=name, default=name == first)
            for name, title in named.items()
        ]
        for section, named in PAGES.items()
    }


page = st.navigation(pages(), expanded=True)
st.set_page_config(page_title=f"{page.title} · Critical minerals", layout="wide")
st.html(_STYLE)
try:
    header()
    page.run()
except MineralsError as error:
    st.error(str(error))
