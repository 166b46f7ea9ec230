"""The design matrix: on which rows and columns a model is estimated, and why not on all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minerals.names import BASE_MINERAL, BASE_YEAR, CONSTANT, REGRESSORS, quantity_column
from minerals.ppml import EstimationError
from minerals.ppml.columns import (
    BoolArray,
    Columns,
    FloatArray,
    IntArray,
    centred,
    collinear_columns,
)
from minerals.ppml.separation import separated_rows

if TYPE_CHECKING:  # a panel is a frame, but pandas takes half a second to import
    import pandas as pd

CLUSTER, SECOND_CLUSTER = "exporter_iso3", "mineral"
"""The columns of the panel whose values are the clusters of the standard errors."""


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
    """

    dependent: str
    regressors: tuple[str, ...] = REGRESSORS
    effects: tuple[str, ...] = ("mineral", "year")
    base_levels: Mapping[str, object] = field(
        default_factory=lambda: {"mineral": BASE_MINERAL, "year": BASE_YEAR}
    )


class Clusters(NamedTuple):
    """Groups of rows: the number (n,) of each row's group, from 0, and the groups' names."""

    codes: IntArray
    names: NDArray[np.str_]


@dataclass(frozen=True)
class Dropped:
    """What a design left out: numbers of rows, and terms that are not among its columns.

    n_separated_by_combination counts the separated rows that neither an effect level nor a dummy
    regressor without any import explains alone.
    """

    n_missing: int = 0
    n_separated: int = 0
    n_separated_by_combination: int = 0
    separated: tuple[Term, ...] = ()
    collinear: tuple[Term, ...] = ()


@dataclass(frozen=True)
class Design:
    """A model ready to be estimated, of n rows and k columns.

    y: (n,) kg. columns: (n, k), full column rank: regressors, effects, the constant. terms: the k
    columns. clusters, second_clusters: exporters and minerals of the rows. base_levels: the level
    of each effect that was left out.
    """

    y: FloatArray
    columns: Columns
    terms: tuple[Term, ...]
    clusters: Clusters
    second_clusters: Clusters
    base_levels: tuple[Term, ...]
    dropped: Dropped

    @property
    def X(self) -> FloatArray:  # noqa: N802 - the matrix, as the literature writes it
        """The matrix (n, k) itself, with all its dummies."""
        return self.columns.to_array()

    @property
    def covariates(self) -> tuple[str, ...]:
        """The names of the p regressors, the first columns."""
        return tuple(term.name for term in self.terms[: self.columns.dense.shape[1]])


def study_spec(category: str) -> ModelSpec:
    """The study's model of a category. ValueError for an unknown category."""
    return ModelSpec(dependent=quantity_column(category))


def build_design(panel: pd.DataFrame, spec: ModelSpec) -> Design:
    """The design of `spec` on the rows of one importer.

    Drops, in this order: rows whose dependent or a regressor is null; separated rows
    (`separation.separated_rows`); columns collinear with earlier ones, the constant counting first,
    then regressors, then effects (`columns.collinear_columns`). Rows dropped for separation are
    fitted perfectly by an infinite coefficient and carry no information on the others (Santos Silva
    and Tenreyro, "On the existence of the maximum likelihood estimates in Poisson regression",
    Economics Letters 2010). Effect levels with no row left, and regressors that only separated rows
    identify, are named as separated.

    Raises ValueError when a column is missing, several importers are mixed, a regressor is infinite
    or the dependent negative; EstimationError when no positive quantity is left.
    """
    _check_panel(panel, spec)
    no_quantity = panel[spec.dependent].isna()
    no_regressor = ~no_quantity & panel[list(spec.regressors)].isna().any(axis=1)
    sample = panel.loc[~no_quantity & ~no_regressor]
    dropped = Dropped(int(no_quantity.sum() + no_regressor.sum()))
    if not (sample[spec.dependent] > 0).any():
        reason = _why_nothing_positive(panel, spec.dependent)
        raise EstimationError(f"{reason}; there is nothing to estimate", dropped)
    y = sample[spec.dependent].to_numpy(dtype=np.float64)
    everything, all_terms, all_bases = _columns(sample, spec)
    is_separated = separated_rows(y, everything)
    kept = sample.loc[~is_separated]
    columns, terms, bases = _columns(kept, spec)
    is_collinear = _collinear(columns)
    out = tuple(term for term, is_out in zip(terms, is_collinear, strict=True) if is_out)
    gone = {*all_terms, *all_bases} - {*terms, *bases}
    separated = (
        *sorted(gone, key=lambda term: (spec.effects.index(term.term_type), term.name)),
        *_infinite_regressors(everything, all_terms, out),
    )
    return Design(
        y=y[~is_separated],
        columns=columns.keep(~is_collinear),
        terms=tuple(term for term in terms if term not in out),
        clusters=_clusters(kept[CLUSTER]),
        second_clusters=_clusters(kept[SECOND_CLUSTER]),
        base_levels=bases,
        dropped=replace(
            dropped,
            n_separated=int(is_separated.sum()),
            n_separated_by_combination=_by_combination(sample, is_separated, separated),
            separated=separated,
            collinear=tuple(term for term in out if term not in separated),
        ),
    )


def _check_panel(panel: pd.DataFrame, spec: ModelSpec) -> None:
    from minerals.frames import require_columns

    needed = [spec.dependent, *spec.regressors, *spec.effects, CLUSTER, SECOND_CLUSTER]
    require_columns(panel, needed, "the panel")
    if "importer_iso3" in panel.columns and panel["importer_iso3"].nunique() > 1:
        names = ", ".join(sorted(panel["importer_iso3"].unique()))
        raise ValueError(f"a model is estimated for one importer; the panel mixes {names}")
    infinite = np.isinf(panel[list(spec.regressors)].to_numpy(dtype=np.float64)).any(axis=0)
    if infinite.any():
        names = ", ".join(np.array(spec.regressors)[infinite])
        raise ValueError(f"infinite values in {names}; a logarithm of zero?")
    if (panel[spec.dependent] < 0).any() or np.isinf(panel[spec.dependent]).any():
        raise ValueError(f"{spec.dependent} has negative or infinite values")


def _why_nothing_positive(panel: pd.DataFrame, dependent: str) -> str:
    unknown = int(panel[dependent].isna().sum())
    unclear = f", {unknown:,} have trade of unknown quantity" if unknown else ""
    if panel.empty:
        return "the panel has no rows"
    if (panel[dependent] > 0).any():
        return f"every row with a positive {dependent} lacks a regressor"
    return (
        f"no positive quantity was observed: of {len(panel):,} rows of {dependent}, "
        f"{len(panel) - unknown:,} are zero{unclear}"
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


def _clusters(labels: pd.Series) -> Clusters:
    names, codes = np.unique(labels.to_numpy(dtype=object).astype(str), return_inverse=True)
    return Clusters(codes.astype(np.intp), names)


def _collinear(columns: Columns) -> BoolArray:
    """Which of the k columns the constant and earlier columns imply; never the constant."""
    if columns.is_surely_full_rank():
        return np.zeros(columns.shape[1], dtype=bool)
    return np.append(collinear_columns(centred(columns.to_array()[:, :-1])), False)


def _infinite_regressors(
    everything: Columns, terms: tuple[Term, ...], collinear: tuple[Term, ...]
) -> list[Term]:
    """Regressors that became collinear by dropping separated rows: only those identify them."""
    suspects = [term for term in collinear if term.term_type == "covariate"]
    if not suspects:
        return []
    before = {term for term, out in zip(terms, _collinear(everything), strict=True) if out}
    return [term for term in suspects if term not in before]


def _by_combination(
    sample: pd.DataFrame, is_separated: BoolArray, separated: tuple[Term, ...]
) -> int:
    """Rows that no single separated term explains."""
    is_explained = np.zeros(len(sample), dtype=bool)
    for term in separated:
        column = sample[term.term_type if term.term_type != "covariate" else term.name]
        if term.term_type != "covariate":
            is_explained |= (column.astype(str) == term.name).to_numpy()
        elif column.isin([0, 1]).all():
            is_explained |= (column == 1).to_numpy()
    return int((is_separated & ~is_explained).sum())
