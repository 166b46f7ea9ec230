"""Two pictures of a model: its coefficients, and fitted against actual quantities.

Belongs here: drawing, into the bytes of a PNG. Does not belong here: where pictures are shown.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from minerals.ppml.columns import FloatArray
from minerals.ppml.inference import NORMAL_975
from minerals.ppml.model import Model

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, ACCENT, PALE = "#222222", "#1f5a8a", "#b9c7d3"
DOTS_PER_INCH = 90


def coefficient_plot(model: Model, title: str) -> bytes:
    """Regressors, each times its standard deviation, with 95% bounds: clustered by exporter
    (thick) and bootstrap percentiles (thin). A PNG."""
    figure = _figure(6.4, 4.2)
    axes = figure.subplots()
    p = model.design.columns.dense.shape[1]
    sd = model.design.columns.dense.std(axis=0)
    b = model.fit.coefficients[:p] * sd
    half = NORMAL_975 * np.sqrt(np.diag(model.fit.cov_clustered)[:p]) * sd
    low, high = model.bootstrap.bounds()
    places = np.arange(p)[::-1]
    axes.axvline(0.0, color=PALE, linewidth=1)
    axes.hlines(places, low * sd, high * sd, color=INK, linewidth=1)
    axes.hlines(places, b - half, b + half, color=ACCENT, linewidth=4, alpha=0.6)
    axes.plot(b, places, "o", color=ACCENT, markersize=5)
    axes.set_yticks(places, [term.name for term in model.design.terms[:p]])
    axes.set_xlabel("change of ln quantity by one standard deviation")
    axes.text(
        0.99,
        0.01,
        "95% bounds\nthick: clustered by exporter\nthin: bootstrap over exporters",
        transform=axes.transAxes,
        ha="right",
        va="bottom",
        fontsize=8,
        color=INK,
    )
    return _png(figure, axes, title)


def fitted_plot(model: Model, title: str) -> bytes:
    """Fitted against actual quantity of every row with imports, both axes logarithmic. A PNG."""
    figure = _figure(5.2, 4.6)
    axes = figure.subplots()
    y, mu = model.design.y, np.exp(model.fit.linear_predictor)
    positive = y > 0
    axes.loglog(y[positive], mu[positive], "o", color=ACCENT, markersize=2.5, alpha=0.4)
    ends = _ends(y[positive], mu[positive])
    axes.plot(ends, ends, color=INK, linewidth=1)
    axes.set_xlabel(f"actual, kg ({int(positive.sum()):,} rows with imports)")
    axes.set_ylabel("fitted, kg")
    return _png(figure, axes, title)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure  # half a second to import: only when a plot is drawn

    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")


def _ends(x: FloatArray, y: FloatArray) -> list[float]:
    return [float(min(x.min(), y.min())), float(max(x.max(), y.max()))]


def _png(figure: Figure, axes, title: str) -> bytes:  # type: ignore[no-untyped-def]
    axes.set_title(title, loc="left", color=INK, fontsize=11)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    file = BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
