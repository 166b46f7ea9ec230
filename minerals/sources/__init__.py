"""Where raw data come from: how each source is fetched and parsed, and the snapshots of it.

`sources.yml` declares every source: its publisher, its raw tables and the rules for their rows.
`providers(settings)` is the only choice between profiles. Both write the same tables, except for
trade: that of `bundled` has BACI's columns, that of `live` UN Comtrade's. Renaming, unit conversion
and joining belong to dbt.
"""

from minerals.settings import Settings
from minerals.sources.provider import DATASETS, Provider

__all__ = ["DATASETS", "Provider", "providers"]


def providers(settings: Settings) -> dict[str, Provider]:
    """The provider of each raw dataset under the settings' profile."""
    if settings.profile == "live":
        from minerals.sources import comtrade, geodist, oecd, usgs, world_bank, world_mining_data

        return {
            "bilateral_trade": comtrade.trade_provider(settings),
            "production": world_mining_data.production_provider(settings),
            "mineral_summaries": usgs.summaries_provider(settings),
            "country_indicators": world_bank.indicators_provider(settings),
            "country_geography": geodist.geography_provider(settings),
            "export_restrictions": oecd.restrictions_provider(settings),
        }
    from minerals.sources import bundle, csv_files, oecd, usgs

    return {
        "bilateral_trade": bundle.trade_provider(settings),
        "production": bundle.production_provider(settings),
        "mineral_summaries": usgs.figures_provider(settings),
        "country_indicators": csv_files.figures_provider(settings, "indicators_file"),
        "country_geography": csv_files.figures_provider(settings, "geography_file"),
        "export_restrictions": oecd.no_restrictions_provider(),
    }
