"""The terms of a fit as rows: names, status, estimate and inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from minerals import names
from minerals.ppml.columns import FloatArray
from minerals.ppml.design import Term
from minerals.ppml.estimator import Fit
from minerals.ppml.inference import normal_inference


def terms_frame(fit: Fit, covariance: FloatArray) -> pd.DataFrame:
    """Every term of a fit, those that were left out included, with errors of one covariance."""
    regressors = [t for t in fit.dropped.separated if t.term_type == "covariate"]
    fixed = [
        labelled(terms, status, estimate=estimate)
        for terms, status, estimate in (
            (fit.base_levels, names.STATUS_BASE, 0.0),
            (fit.dropped.collinear, names.STATUS_COLLINEAR, 0.0),
            (regressors, names.STATUS_SEPARATED, np.nan),
        )
        if terms
    ]
    std_error = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    return pd.concat([free_terms(fit.terms, fit.coefficients, std_error), *fixed])


def free_terms(terms: Sequence[Term], estimate: FloatArray, std_error: FloatArray) -> pd.DataFrame:
    columns = ("z_value", "p_value", "conf_low", "conf_high")
    inferred = dict(zip(columns, normal_inference(estimate, std_error), strict=True))
    return labelled(terms, names.STATUS_FREE, estimate=estimate, std_error=std_error, **inferred)


def labelled(terms: Sequence[Term], status: str, **values: Any) -> pd.DataFrame:
    labels = {"term_type": [t.term_type for t in terms], "term": [t.name for t in terms]}
    return pd.DataFrame(labels).assign(status=status, **values)
