"""Country figures of the bundled profile: indicators and geography, as CSV files of this package.

The files carry the World Bank's and GeoDist's figures under their own column names; see the README
beside them for the attribution. Renaming and imputing belong to dbt.
"""

from minerals.settings import Settings
from minerals.sources.csv_files import csv_provider
from minerals.sources.provider import Provider, RawTable
from minerals.sources.snapshots import SourceDescription
from minerals.sources.tables import COUNTRY_GEOGRAPHY, COUNTRY_INDICATORS

WORLD_BANK = SourceDescription(
    provider="World Bank",
    citation=(
        "World Bank, World Development Indicators, and Worldwide Governance Indicators, 2024 "
        "edition; electricity shares computed from Ember, Yearly Electricity Data, through Our "
        "World in Data; UN ideal points from Bailey, Strezhnev and Voeten, July 2025"
    ),
    licence="CC BY 4.0",
    url="https://data.worldbank.org",
)
GEODIST = SourceDescription(
    provider="CEPII",
    citation=(
        "Mayer, T. and Zignago, S. (2011) Notes on CEPII's distances measures: the GeoDist "
        "database. CEPII Working Paper 2011-25; regions and income groups from the World Bank"
    ),
    licence="Etalab Open Licence 2.0; World Bank classifications CC BY 4.0",
    url="https://www.cepii.fr/CEPII/en/bdd_modele/bdd_modele_item.asp?id=6",
)


def indicators_provider(settings: Settings) -> Provider:
    """One row per economy and year, one column per indicator under its World Bank code."""
    return _provider(settings, COUNTRY_INDICATORS, WORLD_BANK)


def geography_provider(settings: Settings) -> Provider:
    """One row per economy: main city and capital with coordinates, area, landlocked, region."""
    return _provider(settings, COUNTRY_GEOGRAPHY, GEODIST)


def _provider(settings: Settings, table: RawTable, source: SourceDescription) -> Provider:
    return csv_provider(
        settings.figures_dir / f"{table.name}.csv",
        table,
        source,
        layout="figures-csv-1",
        remedy="restore it from the repository",
    )
