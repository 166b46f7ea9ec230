"""The dashboard: pages over the published marts, read-only.

`app/main.py` is what Streamlit runs: the header and the list of pages. A page (`pages/<name>.py`)
picks and sums rows of marts and shows them; it computes nothing. `reading.py` reads one release,
`filters.py` keeps the choices in the address, `show.py` draws charts and tables with their
downloads, `words.py` has names, units and labels. Nothing here writes, and nothing of `minerals` is
used but names, marts, settings, errors and releases. One exception: the page of shocks calls
`minerals.sourcing.shocks.losses`, as no mart holds what every choice of suppliers would lose.
"""
