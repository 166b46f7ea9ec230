"""UN Comtrade imports as a CSV file that somebody downloaded, to reconcile the trade data with.

Optional: the panel is not built from it. One row per reporter, partner, code and year, with the
columns of the Comtrade API (https://comtradedeveloper.un.org). Rows and values are kept as given;
dbt decides which of them are compared.
"""

from minerals.settings import Settings
from minerals.sources.csv_files import csv_provider
from minerals.sources.provider import REAL, TEXT, WHOLE, Provider, RawTable
from minerals.sources.snapshots import SourceDescription

UN_COMTRADE = SourceDescription(
    provider="UN Comtrade",
    citation="United Nations Statistics Division, UN Comtrade Database",
    licence="UN Comtrade terms of use: free for internal use, redistribution needs permission",
    url="https://comtradeplus.un.org",
)
_KEY = (
    "refYear", "reporterCode", "flowCode", "partnerCode", "partner2Code", "classificationCode",
    "cmdCode", "customsCode", "motCode",
)  # fmt: skip
REPORTED_TRADE_TABLE = RawTable(
    name="reported_trade",
    columns=dict.fromkeys(_KEY, TEXT) | {"refYear": WHOLE, "primaryValue": REAL, "netWgt": REAL},
    key=_KEY,
    required=("refYear", "reporterCode", "flowCode", "partnerCode", "cmdCode", "primaryValue"),
    non_negative=("primaryValue",),
    optional={"netWeight": REAL},  # the name of netWgt in older files
)


def reported_trade_provider(settings: Settings) -> Provider | None:
    """The file that `MINERALS_COMTRADE_FILE` names; None when it names none."""
    if settings.comtrade_file is None:
        return None
    return csv_provider(
        settings.comtrade_file,
        REPORTED_TRADE_TABLE,
        UN_COMTRADE,
        layout="comtrade-csv-2",
        remedy="download it again, or unset MINERALS_COMTRADE_FILE",
    )
