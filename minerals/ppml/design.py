"""The design matrix: which rows and columns of the panel a model is estimated on, and why not all.

Belongs here: the typed specification of a model, the choice of base levels, and everything that is
dropped before estimation: rows without a quantity, separated rows, collinear columns. All of it is
counted and named. Does not belong here: how separation is found (`separation`), estimation, or the
tables that report it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from minerals.errors import MineralsError
from minerals.names import BASE_MINERAL, BASE_YEAR, CONSTANT, REGRESSORS, quantity_column
from minerals.ppml.columns import BoolArray, Columns, FloatArray, IntArray, factorise
from minerals.ppml.separation import (
    COLLINEARITY_TOLERANCE,
    FLAT,
    SeparationError,
    centred,
    separated_rows,
)

if TYPE_CHECKING:  # a panel is a frame, but pandas takes half a second to import
    import pandas as pd


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
    cluster: column that names the cluster of a row. second_cluster: the other way of two-way
    clusters; none is computed where the panel lacks the column.
    """

    dependent: str
    regressors: tuple[str, ...] = REGRESSORS
    effects: tuple[str, ...] = ("mineral", "year")
    base_levels: Mapping[str, object] = field(
        default_factory=lambda: {"mineral": BASE_MINERAL, "year": BASE_YEAR}
    )
    cluster: str = "exporter_iso3"
    second_cluster: str | None = "mineral"


@dataclass(frozen=True)
class Dropped:
    """What a design left out: numbers of rows, and terms that are not among its columns.

    n_separated_by_combination counts the separated rows that neither an effect level nor a dummy
    regressor without any import explains alone.
    """

    n_missing_dependent: int = 0
    n_missing_regressor: int = 0
    n_separated: int = 0
    n_separated_by_combination: int = 0
    separated: tuple[Term, ...] = ()
    collinear: tuple[Term, ...] = ()

    @property
    def n_missing(self) -> int:
        return self.n_missing_dependent + self.n_missing_regressor


@dataclass(frozen=True)
class Design:
    """A model ready to be estimated, of n rows and k columns.

    y: (n,) kg. columns: (n, k), full column rank: regressors, effects, the constant. terms: the k
    columns. rows: the panel's index of the n rows. clusters, second_clusters: (n,) labels.
    base_levels: the level of each effect that was left out.
    """

    y: FloatArray
    columns: Columns
    terms: tuple[Term, ...]
    rows: pd.Index
    clusters: NDArray[np.object_]
    second_clusters: NDArray[np.object_] | None
    base_levels: tuple[Term, ...]
    dropped: Dropped
    spec: ModelSpec

    @property
    def X(self) -> FloatArray:  # noqa: N802 - the matrix, as the literature writes it
        """The matrix (n, k) itself, with all its dummies."""
        return self.columns.to_array()


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

    Drops, in this order: rows whose dependent or a regressor is null; separated rows
    (`separation.separated_rows`); columns collinear with earlier ones, the constant counting first,
    then regressors, then effects (`collinear_columns`). Rows dropped for separation are fitted
    perfectly by an infinite coefficient and say nothing on the others (Santos Silva and Tenreyro,
    "On the existence of the maximum likelihood estimates in Poisson regression", Economics Letters
    2010). Effect levels with no row left, and regressors that only separated rows identify, are
    named as separated.

    Raises ValueError when a column is missing, several importers are mixed, a regressor is infinite
    or the dependent negative; NothingToEstimate when no positive quantity is left.
    """
    _check_panel(panel, spec)
    no_quantity = panel[spec.dependent].isna()
    no_regressor = ~no_quantity & panel[list(spec.regressors)].isna().any(axis=1)
    sample = panel.loc[~no_quantity & ~no_regressor]
    dropped = Dropped(int(no_quantity.sum()), int(no_regressor.sum()))
    _require_positive(panel, sample, spec, dropped)

    y = sample[spec.dependent].to_numpy(dtype=np.float64)
    everything, all_terms, all_bases = _columns(sample, spec)
    try:
        is_separated = separated_rows(y, everything)
    except SeparationError as error:
        raise EstimationError(str(error)) from error
    kept = sample.loc[~is_separated] if is_separated.any() else sample
    columns, terms, bases = _columns(kept, spec)
    is_collinear = _collinear(columns)
    out = tuple(term for term, is_out in zip(terms, is_collinear, strict=True) if is_out)
    separated: tuple[Term, ...] = ()
    if is_separated.any():
        separated = (
            *_empty_levels(all_terms, all_bases, {*terms, *bases}, spec),
            *_infinite_regressors(everything, all_terms, out),
        )
    second = spec.second_cluster if spec.second_cluster in kept.columns else None
    return Design(
        y=y[~is_separated],
        columns=columns.keep(~is_collinear) if out else columns,
        terms=tuple(term for term in terms if term not in out),
        rows=kept.index,
        clusters=kept[spec.cluster].to_numpy(dtype=object),
        second_clusters=None if second is None else kept[second].to_numpy(dtype=object),
        base_levels=bases,
        dropped=replace(
            dropped,
            n_separated=int(is_separated.sum()),
            n_separated_by_combination=_by_combination(sample, is_separated, separated),
            separated=separated,
            collinear=tuple(term for term in out if term not in separated),
        ),
        spec=spec,
    )


def collinear_columns(
    X: FloatArray, priority: IntArray, tolerance: float = COLLINEARITY_TOLERANCE
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
    around = X - X.mean(axis=0)
    norms = np.linalg.norm(around, axis=0)
    is_flat = norms <= FLAT * np.linalg.norm(X, axis=0)
    Z = around / np.where(is_flat, 1.0, norms)
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
    from minerals.frames import require_columns

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


def _columns(
    rows: pd.DataFrame, spec: ModelSpec
) -> tuple[Columns, tuple[Term, ...], tuple[Term, ...]]:
    """Regressors, effects and constant of some rows; their terms; the base level of each effect."""
    import pandas as pd  # the caller holds a frame: it is loaded

    terms = [Term(name, "covariate") for name in spec.regressors]
    bases, all_codes, sizes = [], [], []
    for effect in spec.effects:
        codes, levels = pd.factorize(rows[effect], sort=True)
        names = list(levels)
        wanted = spec.base_levels.get(effect)
        base = names.index(wanted) if wanted in names else 0
        number = np.arange(len(names)) - (np.arange(len(names)) > base)
        number[base] = len(names) - 1
        all_codes.append(number[codes])
        sizes.append(len(names) - 1)
        bases.append(Term(str(names[base]), effect))
        terms += [Term(str(name), effect) for name in names if name != names[base]]
    dense = rows[list(spec.regressors)].to_numpy(dtype=np.float64)
    terms.append(Term(CONSTANT, "constant"))
    return Columns.of(dense, all_codes, sizes), tuple(terms), tuple(bases)


def _collinear(columns: Columns) -> BoolArray:
    """Which of the k columns are collinear: a sure sign that none is, or the rule itself."""
    n, k = columns.shape
    if factorise(centred(columns).gram(np.ones(n))).is_full_rank:
        return np.zeros(k, dtype=bool)
    return collinear_columns(columns.to_array(), np.array([k - 1, *range(k - 1)], dtype=np.intp))


def _empty_levels(
    terms: tuple[Term, ...], bases: tuple[Term, ...], left: set[Term], spec: ModelSpec
) -> list[Term]:
    """Effect levels of which no row is left, by effect and name."""
    gone = [term for term in {*terms, *bases} - left if term.term_type in spec.effects]
    return sorted(gone, key=lambda term: (spec.effects.index(term.term_type), term.name))


def _infinite_regressors(
    everything: Columns, terms: tuple[Term, ...], collinear: tuple[Term, ...]
) -> list[Term]:
    """Regressors that became collinear by dropping separated rows: only those identify them."""
    before = {term for term, out in zip(terms, _collinear(everything), strict=True) if out}
    return [term for term in collinear if term.term_type == "covariate" and term not in before]


def _by_combination(
    sample: pd.DataFrame, is_separated: BoolArray, separated: tuple[Term, ...]
) -> int:
    """Rows that no single separated term explains."""
    is_explained = np.zeros(len(sample), dtype=bool)
    for effect in {term.term_type for term in separated} - {"covariate"}:
        levels = [term.name for term in separated if term.term_type == effect]
        is_explained |= sample[effect].astype(str).isin(levels).to_numpy()
    for name in (term.name for term in separated if term.term_type == "covariate"):
        x = sample[name].to_numpy(dtype=np.float64)
        if set(np.unique(x)) == {0.0, 1.0}:
            is_explained |= x == 1.0
    return int((is_separated & ~is_explained).sum())
