"""The raw tables that both profiles share: the same columns, whoever the publisher is."""

from minerals.sources.provider import REAL, TEXT, WHOLE, RawTable

PRODUCTION = RawTable(
    name="production",
    columns={
        "sheet": TEXT,
        "country": TEXT,
        "country_iso": TEXT,
        "year": WHOLE,
        "quantity": REAL,  # in `unit`, which differs by sheet
        "unit": TEXT,
        "data_source": TEXT,
    },
    key=("sheet", "country", "year"),
    required=("sheet", "country", "year", "unit"),
    non_negative=("quantity",),
)
# Codes of the World Bank; UN.IDEALPOINT has another publisher.
INDICATORS = (
    "BX.KLT.DINV.WD.GD.ZS", "EG.ELC.ACCS.ZS", "EG.ELC.FOSL.ZS", "EG.ELC.RNWX.ZS",
    "GC.DOD.TOTL.GD.ZS", "LP.LPI.OVRL.XQ", "NY.GDP.MKTP.PP.KD", "SP.POP.TOTL",
    "TX.VAL.MMTL.ZS.UN", "UN.IDEALPOINT", "CC.EST", "GE.EST", "PV.EST", "RL.EST", "RQ.EST",
    "VA.EST",
)  # fmt: skip
COUNTRY_INDICATORS = RawTable(
    name="country_indicators",
    columns={"iso3": TEXT, "year": WHOLE, **dict.fromkeys(INDICATORS, REAL)},
    key=("iso3", "year"),
    required=("iso3", "year"),
    non_negative=("EG.ELC.ACCS.ZS", "EG.ELC.FOSL.ZS", "NY.GDP.MKTP.PP.KD", "SP.POP.TOTL"),
)
COUNTRY_GEOGRAPHY = RawTable(
    name="country_geography",
    columns={
        **dict.fromkeys(("iso3", "name", "region", "income_group"), TEXT),
        **dict.fromkeys(("landlocked", "landlocked_geodist"), WHOLE),
        "area_km2": REAL,
        **dict.fromkeys(("main_city", "capital"), TEXT),
        **dict.fromkeys(("main_city_lat_deg", "main_city_lon_deg"), REAL),
        **dict.fromkeys(("capital_lat_deg", "capital_lon_deg"), REAL),
    },
    key=("iso3",),
    required=("iso3", "name", "landlocked", "main_city_lat_deg", "main_city_lon_deg"),
    non_negative=("area_km2", "landlocked", "landlocked_geodist"),
)
