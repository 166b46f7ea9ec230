"""Where raw data come from: one module a source, the snapshots they land in, and what may be in
them.

`providers(settings)` is the only choice between profiles; nothing after the snapshots knows which
one ran. Renaming, unit conversion and joining belong to dbt, not here.
"""

from minerals.errors import SourceError
from minerals.settings import Settings
from minerals.sources.provider import DATASETS, Provider

__all__ = ["DATASETS", "Provider", "providers"]


def providers(settings: Settings) -> dict[str, Provider]:
    """The provider of each of the four raw datasets under the settings' profile.

    Raises SourceError for a profile whose clients are not part of this version.
    """
    if settings.profile != "bundled":
        raise SourceError(
            f"The profile '{settings.profile}' has no source clients in this version; "
            "unset MINERALS_PROFILE, or set it to 'bundled', to refresh from the open-data bundle."
        )
    from minerals.sources import bundle, figures

    return {
        "bilateral_trade": bundle.trade_provider(settings),
        "production": bundle.production_provider(settings),
        "country_indicators": figures.indicators_provider(settings),
        "country_geography": figures.geography_provider(settings),
    }
