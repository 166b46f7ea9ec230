"""UN Comtrade imports as a CSV file that somebody downloaded, to reconcile the trade data with.

Optional: it is not what the panel is built from. One row a reporter, partner, code and year, with
the columns of the Comtrade API (https://comtradedeveloper.un.org). Rows and values are kept as
given; which of them are compared is decided in dbt.
"""

import pyarrow as pa

from minerals.settings import Settings
from minerals.sources.csv_files import csv_provider
from minerals.sources.provider import Provider, RawTable
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
_NUMERIC = ("primaryValue", "netWgt", "netWeight")
REPORTED_TRADE_TABLE = RawTable(
    name="reported_trade",
    columns=(*_KEY, "primaryValue", "netWgt"),
    key=_KEY,
    required=("refYear", "reporterCode", "flowCode", "partnerCode", "cmdCode", "primaryValue"),
    numeric=("refYear", "primaryValue"),
    non_negative=("primaryValue",),
)


def reported_trade_provider(settings: Settings) -> Provider | None:
    """The file that `MINERALS_COMTRADE_FILE` names; None when it names none."""
    if settings.comtrade_file is None:
        return None
    return csv_provider(
        settings.comtrade_file,
        REPORTED_TRADE_TABLE,
        UN_COMTRADE,
        dict.fromkeys(_NUMERIC, pa.float64()),
        layout="comtrade-csv-1",
        where_from="download it again, or unset MINERALS_COMTRADE_FILE",
    )
