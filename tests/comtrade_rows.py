"""Rows of the UN Comtrade API for tests, real and few, and a client for their server."""

from pathlib import Path

import pandas as pd
import pytest
from pydantic import SecretStr

from minerals.settings import PROJECT_ROOT, Settings
from minerals.sources import comtrade, comtrade_rows, seeds
from minerals.sources.http import Allowance, Client, RetryPolicy
from tests.publishers import ComtradePublisher

INDIA = PROJECT_ROOT.parent / "shared" / "data" / "comtrade" / "india_imports_2019_2021.csv"
KEY = "a-key-that-nobody-may-see"
YEARS = (2019, 2020, 2021)
FLAGS = ("isOriginalClassification", "isLeaf", "isQtyEstimated", "isAltQtyEstimated",
         "isNetWgtEstimated", "isGrossWgtEstimated", "isReported", "isAggregate")  # fmt: skip
REALS = ("qty", "altQty", "netWgt", "netWeight", "grossWgt", "cifvalue", "fobvalue",
         "primaryValue")  # fmt: skip
TEXTS = ("cmdCode", "mosCode", "classificationCode", "period", "customsCode", "flowCode")
POLICY = RetryPolicy(attempts=6, first_wait=0.0, read_timeout=30.0)
SEEDS = PROJECT_ROOT / "dbt_project" / "seeds"


def india_rows() -> list[dict]:
    """The real rows as the API gives them: numbers as numbers, one weight column a row."""
    if not INDIA.exists():
        pytest.skip(f"the real UN Comtrade rows are not at {INDIA}")
    frame = pd.read_csv(INDIA, dtype=str, keep_default_na=False)
    return [
        {name: _as_api(name, text) for name, text in row.items() if _is_sent(name, row)}
        for row in frame.to_dict("records")
    ]


def _is_sent(name: str, row: dict) -> bool:
    return name not in comtrade_rows.WEIGHTS or row[name] != ""


def _as_api(name: str, text: str) -> object:
    if name in FLAGS:
        return text == "True"
    if name in REALS:
        return float(text) if text else None
    return text if name in TEXTS or not text.lstrip("-").isdigit() else int(text)


def few_rows() -> list[dict]:
    """Two codes of one year from two partners, with World, as few columns as the API needs."""
    values = {"260300": {"152": 60.0, "604": 40.0}, "811292": {"152": 5.0, "899": 7.5}}
    rows = []
    for code, partners in values.items():
        for partner, value in {"0": sum(partners.values()), **partners}.items():
            rows.append(
                {
                    "period": "2021", "reporterCode": 699, "flowCode": "M", "cmdCode": code,
                    "partnerCode": int(partner), "partner2Code": 0, "motCode": 0,
                    "customsCode": "C00", "classificationCode": "H5", "primaryValue": value * 1e6,
                    "netWgt": value * 1e3,
                }
            )  # fmt: skip
    return rows


def made_rows() -> list[dict]:
    """Three years of 36 mapped codes from 15 partners, with World: more rows than an answer without
    a key holds. The weight has its older name in the first year."""
    codes = seeds.hs_codes(SEEDS)["H5"][:36]
    partners = [code for code in seeds.partner_codes(SEEDS) if code != "0"][:15]
    rows = []
    for year in YEARS:
        for i, code in enumerate(codes):
            values = {p: 1000.0 * (i + 1) + 10.0 * j + year for j, p in enumerate(partners)}
            for partner, value in {"0": sum(values.values()), **values}.items():
                rows.append(
                    {
                        "period": str(year), "reporterCode": 699, "flowCode": "M",
                        "cmdCode": code, "cmdDesc": f"Text of {code}",
                        "partnerCode": int(partner), "partner2Code": 0, "motCode": 0,
                        "customsCode": "C00", "classificationCode": "H5", "primaryValue": value,
                        "netWeight" if year == YEARS[0] else "netWgt": value / 2,
                    }
                )  # fmt: skip
    return rows


def client(
    publisher: ComtradePublisher, folder: Path, rows: list[dict], **plan
) -> comtrade.Comtrade:
    """A client for all codes that are in the rows."""
    keyed = bool(publisher.key)
    base = comtrade.KEYED if keyed else comtrade.KEYLESS
    codes = {}
    for row in rows:
        codes.setdefault(row["classificationCode"], set()).add(row["cmdCode"])
    return comtrade.Comtrade(
        Client(
            publisher.url,
            "UN Comtrade",
            POLICY,
            {comtrade.KEY_HEADER: SecretStr(KEY)} if keyed else {},
            Allowance(folder / "state" / "comtrade.json", 500, 0.0),
            sleep=lambda _: None,
        ),
        comtrade.Plan(base.path, base.availability_path, **{
            "cap": base.cap, "codes_per_request": base.codes_per_request, **plan}),
        folder / "comtrade",
        seeds.partner_codes(SEEDS),
        {revision: sorted(found) for revision, found in codes.items()},
    )  # fmt: skip


def as_expected(rows: list[dict]) -> list[dict]:
    """The rows in the types and the order of the table, by another way than the client's."""
    wanted = [
        {
            "period": int(row["period"]),
            "reporterCode": str(row["reporterCode"]),
            "partnerCode": str(row["partnerCode"]),
            "classificationCode": row["classificationCode"],
            "cmdCode": row["cmdCode"],
            "cmdDesc": row.get("cmdDesc"),
            "primaryValue": row["primaryValue"],
            "netWgt": row.get("netWgt", row.get("netWeight")),
        }
        for row in rows
    ]
    return sorted(
        wanted,
        key=lambda r: (r["period"], int(r["reporterCode"]), r["cmdCode"], int(r["partnerCode"])),
    )


def fetched(source: comtrade.Comtrade, years=YEARS) -> list[dict]:
    return comtrade.fetch(source, ["699"], years).rows.to_pylist()


def settings(server: ComtradePublisher, folder: Path, **fields) -> Settings:
    return Settings(
        profile="live", warehouse_dir=folder, comtrade_url=server.url, first_year=2019,
        last_year=2021, comtrade_seconds_between_calls=0.0, **fields,
    )  # fmt: skip
