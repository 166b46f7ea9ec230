"""The design matrix: which rows and columns of the panel a model is estimated on, and why not all.

Belongs here: the typed specification of a model, the choice of base levels, and everything that is
dropped before estimation: rows without a quantity, separated rows, collinear columns. All of it is
counted and named. Does not belong here: estimation, or the tables that report it.

What is found of separation: levels of an effect without any positive quantity, and dummy
regressors with no positive quantity wherever they are 1. Separation by combinations of regressors
(Correia, Guimaraes and Zylkin, "Verifying the existence of maximum likelihood estimates for
generalized linear models", 2019) is not looked for yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import qr

from minerals.errors import MineralsError
from minerals.frames import require_columns
from minerals.names import BASE_MINERAL, BASE_YEAR, CONSTANT, REGRESSORS, quantity_column

COLLINEARITY_TOLERANCE = 1e-9
"""A column is collinear when what earlier columns leave unexplained of it, as a share of the norm
of the centred column, is not above this."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Term:
    """One column of a design. `term_type` is covariate, constant, or the name of an effect."""

    name: str
    term_type: str


@dataclass(frozen=True)
class ModelSpec:
    """What is regressed on what.

    dependent: column of the panel, kg, at least 0; null rows are dropped and counted.
    regressors: numeric columns.
    effects: columns whose levels become dummies, less one base level each.
    base_levels: the level of each effect to leave out; the first in order where it is absent.
    cluster: column that names the cluster of a row.
    """

    dependent: str
    regressors: tuple[str, ...] = REGRESSORS
    effects: tuple[str, ...] = ("mineral", "year")
    base_levels: Mapping[str, object] = field(
        default_factory=lambda: {"mineral": BASE_MINERAL, "year": BASE_YEAR}
    )
    cluster: str = "exporter_iso3"


@dataclass(frozen=True)
class Dropped:
    """What a design left out: numbers of rows, and terms that are not among its columns."""

    n_missing_dependent: int = 0
    n_missing_regressor: int = 0
    n_separated: int = 0
    separated: tuple[Term, ...] = ()
    collinear: tuple[Term, ...] = ()

    @property
    def n_missing(self) -> int:
        return self.n_missing_dependent + self.n_missing_regressor


@dataclass(frozen=True)
class Design:
    """A model ready to be estimated, of n rows and k columns.

    y: (n,) kg. X: (n, k), full column rank, the constant last. terms: the k columns.
    rows: the panel's index of the n rows. clusters: (n,) cluster labels.
    base_levels: the level of each effect that was left out.
    """

    y: FloatArray
    X: FloatArray
    terms: tuple[Term, ...]
    rows: pd.Index
    clusters: NDArray[np.object_]
    base_levels: tuple[Term, ...]
    dropped: Dropped
    spec: ModelSpec


class EstimationError(MineralsError):
    """A model cannot be estimated; the message says why in a sentence."""

    def __init__(self, message: str, dropped: Dropped | None = None) -> None:
        super().__init__(message)
        self.dropped = dropped or Dropped()


class NothingToEstimate(EstimationError):  # noqa: N818 - it is an outcome, said as one
    """No row has a positive quantity, so no coefficient exists."""


def study_spec(category: str) -> ModelSpec:
    """The study's model of a category. ValueError for an unknown category."""
    return ModelSpec(dependent=quantity_column(category))


def build_design(panel: pd.DataFrame, spec: ModelSpec) -> Design:
    """The design of `spec` on the rows of one importer.

    Drops, in this order: rows whose dependent or a regressor is null; rows of effect levels
    without a positive quantity; rows where a dummy regressor is 1 if it has no positive quantity
    there (its coefficient is minus infinity); columns collinear with earlier ones, the constant
    counting first, then regressors, then effects. Rows dropped for separation are fitted perfectly
    by an infinite coefficient and say nothing on the others (Santos Silva and Tenreyro, "On the
    existence of the maximum likelihood estimates in Poisson regression", Economics Letters 2010).

    Raises ValueError when a column is missing, several importers are mixed, a regressor is infinite
    or the dependent negative; NothingToEstimate when no positive quantity is left.
    """
    _check_panel(panel, spec)
    no_quantity = panel[spec.dependent].isna()
    no_regressor = ~no_quantity & panel[list(spec.regressors)].isna().any(axis=1)
    sample = panel.loc[~no_quantity & ~no_regressor]
    dropped = Dropped(int(no_quantity.sum()), int(no_regressor.sum()))
    _require_positive(panel, sample, spec, dropped)

    is_separated, separated = _separated(sample, spec)
    kept = sample.loc[~is_separated]
    columns, bases = _columns(kept, spec, separated)
    X = np.column_stack(list(columns.values()))
    terms = tuple(columns)
    is_collinear = collinear_columns(X, _priority(terms))
    return Design(
        y=kept[spec.dependent].to_numpy(dtype=np.float64),
        X=X[:, ~is_collinear],
        terms=tuple(term for term, out in zip(terms, is_collinear, strict=True) if not out),
        rows=kept.index,
        clusters=kept[spec.cluster].to_numpy(dtype=object),
        base_levels=bases,
        dropped=Dropped(
            n_missing_dependent=dropped.n_missing_dependent,
            n_missing_regressor=dropped.n_missing_regressor,
            n_separated=int(is_separated.sum()),
            separated=separated,
            collinear=tuple(t for t, out in zip(terms, is_collinear, strict=True) if out),
        ),
        spec=spec,
    )


def collinear_columns(
    X: FloatArray, priority: NDArray[np.intp], tolerance: float = COLLINEARITY_TOLERANCE
) -> NDArray[np.bool_]:
    """Which of the k columns of X (n, k) are combinations of columns that come before in
    `priority`.

    `priority` (k,) lists the columns, the first to be kept first; the first must be the constant.
    Columns are centred and scaled to norm 1. A pivoted QR (Golub and Van Loan, Matrix
    Computations, 5.4) tells whether any diagonal of R is within `tolerance`; only then the same
    orthogonalisation is run with the pivots in the order of `priority`, so that what is dropped
    depends neither on the order of rows nor on rounding.
    """
    is_out = np.zeros(X.shape[1], dtype=bool)
    rest = priority[1:]
    if rest.size == 0:
        return is_out
    centred = X - X.mean(axis=0)
    norms = np.linalg.norm(centred, axis=0)
    is_flat = norms <= 1e-12 * np.linalg.norm(X, axis=0)
    Z = centred / np.where(is_flat, 1.0, norms)
    diagonal = np.abs(np.diag(qr(Z[:, rest], mode="r", pivoting=True, check_finite=False)[0]))
    if diagonal.size == rest.size and np.all(diagonal > tolerance):
        return is_out
    basis = np.empty((X.shape[0], 0))
    for column in rest:
        left = Z[:, column]
        for _ in range(2):  # twice is enough to be orthogonal to rounding
            left = left - basis @ (basis.T @ left)
        norm = np.linalg.norm(left)
        if is_flat[column] or norm <= tolerance:
            is_out[column] = True
        else:
            basis = np.column_stack([basis, left / norm])
    return is_out


def _check_panel(panel: pd.DataFrame, spec: ModelSpec) -> None:
    require_columns(
        panel, [spec.dependent, *spec.regressors, *spec.effects, spec.cluster], "the panel"
    )
    if "importer_iso3" in panel.columns and panel["importer_iso3"].nunique() > 1:
        names = ", ".join(sorted(panel["importer_iso3"].unique()))
        raise ValueError(f"a model is estimated for one importer; the panel mixes {names}")
    infinite = np.isinf(panel[list(spec.regressors)].to_numpy(dtype=np.float64)).any(axis=0)
    if infinite.any():
        names = ", ".join(np.array(spec.regressors)[infinite])
        raise ValueError(f"infinite values in {names}; a logarithm of zero?")
    if (panel[spec.dependent] < 0).any() or np.isinf(panel[spec.dependent]).any():
        raise ValueError(f"{spec.dependent} has negative or infinite values")


def _require_positive(
    panel: pd.DataFrame, sample: pd.DataFrame, spec: ModelSpec, dropped: Dropped
) -> None:
    if (sample[spec.dependent] > 0).any():
        return
    if (panel[spec.dependent] > 0).any():
        raise NothingToEstimate(
            f"every row with a positive {spec.dependent} lacks a regressor; "
            "there is nothing to estimate",
            dropped,
        )
    if panel.empty:
        raise NothingToEstimate("the panel has no rows; there is nothing to estimate", dropped)
    unknown = dropped.n_missing_dependent
    beside = f", {unknown:,} have trade of unknown quantity" if unknown else ""
    raise NothingToEstimate(
        f"no positive quantity was observed: of {len(panel):,} rows of {spec.dependent}, "
        f"{len(panel) - unknown:,} are zero{beside}; there is nothing to estimate",
        dropped,
    )


def _separated(sample: pd.DataFrame, spec: ModelSpec) -> tuple[pd.Series, tuple[Term, ...]]:
    """Rows that are separated in one of the two simple ways, and the terms that separate them."""
    positive = sample[spec.dependent] > 0
    is_out = pd.Series(False, index=sample.index)
    terms: list[Term] = []
    for effect in spec.effects:
        has_trade = positive.groupby(sample[effect]).any()
        empty = has_trade.index[~has_trade.to_numpy()]
        is_out |= sample[effect].isin(empty)
        terms += [Term(str(level), effect) for level in sorted(empty)]
    for name in spec.regressors:
        rows = sample.loc[~is_out, name]
        is_dummy = rows.nunique() == 2 and set(rows.unique()) == {0, 1}
        if is_dummy and not positive[~is_out][rows == 1].any():
            is_out |= sample[name] == 1
            terms.append(Term(name, "covariate"))
    return is_out, tuple(terms)


def _columns(
    kept: pd.DataFrame, spec: ModelSpec, separated: tuple[Term, ...]
) -> tuple[dict[Term, FloatArray], tuple[Term, ...]]:
    """The columns in the order regressors, effects, constant; and the base level of each effect."""
    columns: dict[Term, FloatArray] = {}
    bases: list[Term] = []
    for name in spec.regressors:
        term = Term(name, "covariate")
        if term not in separated:
            columns[term] = kept[name].to_numpy(dtype=np.float64)
    for effect in spec.effects:
        levels = sorted(kept[effect].unique())
        wanted = spec.base_levels.get(effect)
        base = wanted if wanted in levels else levels[0]
        bases.append(Term(str(base), effect))
        for level in levels:
            if level != base:
                is_level = (kept[effect] == level).to_numpy()
                columns[Term(str(level), effect)] = is_level.astype(np.float64)
    columns[Term(CONSTANT, "constant")] = np.ones(len(kept))
    return columns, tuple(bases)


def _priority(terms: tuple[Term, ...]) -> NDArray[np.intp]:
    """The constant first, then the other columns as they stand (regressors before effects)."""
    constant = len(terms) - 1
    return np.array([constant, *range(constant)], dtype=np.intp)
