"""Country figures of the bundled profile: indicators and geography, as CSV files of this package.

The files carry the World Bank's and GeoDist's figures under their own column names; see the README
beside them for the attribution. Renaming and imputing belong to dbt.
"""

import pyarrow as pa

from minerals.settings import Settings
from minerals.sources.csv_files import csv_provider
from minerals.sources.provider import Provider, RawTable
from minerals.sources.snapshots import SourceDescription

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

_LAYOUT = "figures-csv-1"
_WHERE_FROM = "restore it from the repository"
_GOVERNANCE = ("CC.EST", "GE.EST", "PV.EST", "RL.EST", "RQ.EST", "VA.EST")
INDICATORS = (
    "BX.KLT.DINV.WD.GD.ZS",
    "EG.ELC.ACCS.ZS",
    "EG.ELC.FOSL.ZS",
    "EG.ELC.RNWX.ZS",
    "GC.DOD.TOTL.GD.ZS",
    "LP.LPI.OVRL.XQ",
    "NY.GDP.MKTP.PP.KD",
    "SP.POP.TOTL",
    "TX.VAL.MMTL.ZS.UN",
    "UN.IDEALPOINT",
    *_GOVERNANCE,
)
INDICATORS_TABLE = RawTable(
    name="country_indicators",
    columns=("iso3", "year", *INDICATORS),
    key=("iso3", "year"),
    required=("iso3", "year"),
    numeric=("year", *INDICATORS),
    non_negative=("EG.ELC.ACCS.ZS", "EG.ELC.FOSL.ZS", "NY.GDP.MKTP.PP.KD", "SP.POP.TOTL"),
)
_COORDINATES = (
    "main_city_lat_deg",
    "main_city_lon_deg",
    "capital_lat_deg",
    "capital_lon_deg",
)
_FLAGS = ("landlocked", "landlocked_geodist")
GEOGRAPHY_TABLE = RawTable(
    name="country_geography",
    columns=(
        "iso3", "name", "region", "income_group", *_FLAGS, "area_km2",
        "main_city", "capital", *_COORDINATES,
    ),
    key=("iso3",),
    required=("iso3", "name", "landlocked", "main_city_lat_deg", "main_city_lon_deg"),
    numeric=(*_FLAGS, "area_km2", *_COORDINATES),
    non_negative=("area_km2", *_FLAGS),
)  # fmt: skip


def indicators_provider(settings: Settings) -> Provider:
    """One row an economy and year, one column an indicator under its World Bank code."""
    types = {"iso3": pa.string(), "year": pa.int32()}
    types |= {code: pa.float64() for code in INDICATORS}
    return csv_provider(
        settings.figures_dir / "country_indicators.csv",
        INDICATORS_TABLE,
        WORLD_BANK,
        types,
        layout=_LAYOUT,
        where_from=_WHERE_FROM,
    )


def geography_provider(settings: Settings) -> Provider:
    """One row an economy: main city and capital with coordinates, area, landlocked, region."""
    text = ("iso3", "name", "region", "income_group", "main_city", "capital")
    types = {column: pa.string() for column in text}
    types |= {column: pa.float64() for column in (*_COORDINATES, "area_km2")}
    types |= {column: pa.int32() for column in _FLAGS}
    return csv_provider(
        settings.figures_dir / "country_geography.csv",
        GEOGRAPHY_TABLE,
        GEODIST,
        types,
        layout=_LAYOUT,
        where_from=_WHERE_FROM,
    )
