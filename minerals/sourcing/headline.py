"""Which of the two sets of coefficients speaks for a mineral."""

from __future__ import annotations

import numpy as np
import pandas as pd

from minerals.names import ESTIMATED, MARKET, PUBLISHED, STUDY_IMPORTER

OWN_IMPORTS = "our model, fitted on imports of this mineral among others"
STUDY_IMPORTS = (
    "the study's model: it observed imports of this mineral in this category, our data show none"
)
NO_IMPORTS = (
    "our model, fitted on other minerals: no import of this one was observed, so that only the "
    "order of its suppliers is known, not a quantity"
)
NO_MODEL = "the study's model: ours cannot be estimated or published for this category"


def with_headline(ranking_forward: pd.DataFrame) -> pd.DataFrame:
    """The ranking with `is_headline` and `headline_reason`: one source leads in each market.

    The first that holds: our model, where imports of the mineral were observed (its effect is
    identified, so that predicted_qty_kg is known); the study's, where it observed them and the
    importer is the study's; our model; the study's.
    """
    source = ranking_forward["coefficient_source"]
    is_known = ranking_forward["predicted_qty_kg"].notna()
    keys = [ranking_forward[name] for name in MARKET]

    def any_of(condition: pd.Series) -> pd.Series:
        return condition.groupby(keys).transform("any")

    is_studys = ranking_forward["importer_iso3"] == STUDY_IMPORTER
    cases = [
        any_of((source == ESTIMATED) & is_known),
        any_of((source == PUBLISHED) & is_known) & is_studys & any_of(source == ESTIMATED),
        any_of(source == ESTIMATED),
    ]
    leader = np.select(cases, [ESTIMATED, PUBLISHED, ESTIMATED], default=PUBLISHED)
    reason = np.select(cases, [OWN_IMPORTS, STUDY_IMPORTS, NO_IMPORTS], default=NO_MODEL)
    leads = source.to_numpy() == leader
    return ranking_forward.assign(is_headline=leads, headline_reason=np.where(leads, reason, ""))
