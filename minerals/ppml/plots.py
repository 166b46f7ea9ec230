"""Two pictures of a model: its coefficients, and fitted against actual quantities."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from minerals.ppml.inference import NORMAL_975
from minerals.ppml.model import Model

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, ACCENT, PALE = "#222222", "#1f5a8a", "#b9c7d3"
DOTS_PER_INCH = 90


def coefficient_plot(model: Model, title: str) -> bytes:
    """Regressors, each times its standard deviation, with 95% bounds: clustered by exporter
    (thick) and bootstrap percentiles (thin). A PNG."""
    figure, axes = _figure(6.4, 4.2, left=0.44, title=title)
    names, sd = model.design.covariates, model.design.columns.dense.std(axis=0)
    p = len(names)
    b = model.fit.coefficients[:p] * sd
    half = NORMAL_975 * np.sqrt(np.diag(model.fit.cov_clustered)[:p]) * sd
    low, high = model.bootstrap.bounds()
    places = np.arange(p)[::-1]
    axes.axvline(0.0, color=PALE, linewidth=1)
    axes.hlines(places, low * sd, high * sd, color=INK, linewidth=1)
    axes.hlines(places, b - half, b + half, color=ACCENT, linewidth=4, alpha=0.6)
    axes.plot(b, places, "o", color=ACCENT, markersize=5)
    axes.set_yticks(places, names)
    axes.set_xlabel("change of ln quantity by one standard deviation")
    note = "95% bounds\nthick: clustered by exporter\nthin: bootstrap over exporters"
    axes.text(0.99, 0.01, note, transform=axes.transAxes, ha="right", fontsize=8, color=INK)
    return _png(figure)


def fitted_plot(model: Model, title: str) -> bytes:
    """Fitted against actual quantity of every row with imports, both axes logarithmic. A PNG."""
    figure, axes = _figure(5.2, 4.6, left=0.15, title=title)
    positive = model.design.y > 0
    y, mu = model.design.y[positive], np.exp(model.fit.linear_predictor)[positive]
    axes.loglog(y, mu, "o", color=ACCENT, markersize=2.5, alpha=0.4)
    ends = [min(y.min(), mu.min()), max(y.max(), mu.max())]
    axes.plot(ends, ends, color=INK, linewidth=1)
    axes.minorticks_off()  # 150 ticks between the decades take longer than all the rest
    axes.set_xlabel(f"actual, kg ({len(y):,} rows with imports)")
    axes.set_ylabel("fitted, kg")
    return _png(figure)


def _figure(width: float, height: float, left: float, title: str) -> tuple[Figure, Axes]:
    """A figure whose axes begin at the share `left` of its width: fixed margins draw twice as fast
    as a layout that measures its labels."""
    from matplotlib.figure import Figure  # half a second to import

    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH)
    axes = figure.add_axes((left, 0.13, 0.96 - left, 0.78))
    axes.set_title(title, loc="left", color=INK, fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: Figure) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
