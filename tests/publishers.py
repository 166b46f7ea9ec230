"""Publishers on the loopback interface: real HTTP servers that behave as the real ones, and badly.

`Publisher` answers GET requests with what `answer(path, params)` returns, notes every request, and
plays the faults of its script, one a request, before it behaves. `ComtradePublisher` replays rows.
"""

import gzip
import hashlib
import io
import json
import socket
import struct
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from xlsxwriter.utility import xl_rowcol_to_cell

HTML = b"<!DOCTYPE html><html><body><h1>Service under maintenance</h1></body></html>"


@dataclass
class Reply:
    """What to send; `fault` says how to spoil it."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""


def as_json(content: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(
        status, json.dumps(content).encode(), {"Content-Type": "application/json"} | headers
    )


@dataclass
class Seen:
    """A request as it arrived."""

    path: str
    params: dict[str, str]
    headers: dict[str, str]


class Publisher:
    """A server on a free port of 127.0.0.1; use it as a context manager."""

    def __init__(self, answer: Callable[[str, dict[str, str], dict[str, str]], Reply]) -> None:
        self.answer = answer
        self.script: list[str | Reply] = []
        self.seen: list[Seen] = []
        self.last_body = b""
        self.hangs = threading.Event()
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"publisher": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "Publisher":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def plays(self, path: str) -> bool:
        """Whether a request of this path takes the next fault of the script."""
        return True

    def reply(self, path: str, params: dict[str, str], headers: dict[str, str]) -> Reply:
        with self.lock:
            self.seen.append(Seen(path, params, headers))
            step = self.script.pop(0) if self.script and self.plays(path) else ""
            if isinstance(step, Reply):
                return step
            if step.startswith("429"):
                wait = step.partition(" ")[2]
                refusal = {"statusCode": 429, "message": "Rate limit is exceeded."}
                return as_json(refusal, 429, **({"Retry-After": wait} if wait else {}))
            if step.isdigit():
                return as_json({"message": "Something went wrong."}, int(step))
            if step == "html":
                return Reply(200, HTML, {"Content-Type": "text/html"})
            if step == "empty":
                return Reply(200, b"")
            if step == "previous page":
                return Reply(200, self.last_body, {"Content-Type": "application/json"})
            made = self.answer(path, params, headers)
            made.fault = step
            if made.status == 200:
                self.last_body = made.body
            return made


class _Handler(BaseHTTPRequestHandler):
    publisher: Publisher
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        reply = self.publisher.reply(parts.path, dict(parse_qsl(parts.query)), dict(self.headers))
        body, headers = reply.body, dict(reply.headers)
        if reply.fault == "gzip":
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        if reply.fault == "damaged gzip":
            body = bytearray(gzip.compress(body))
            body[len(body) // 2] ^= 0xFF
            headers["Content-Encoding"] = "gzip"
        if reply.fault == "hang":
            self.publisher.hangs.set()
            time.sleep(30)
        self.close_connection = True
        self.send_response(reply.status)
        for name, value in headers.items():
            self.send_header(name, value)
        if reply.fault != "half without length":
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if reply.fault in {"reset", "half", "half without length"}:
            body = body[: len(body) // 2]
        with suppress(ConnectionError):  # the client need not wait for the end
            self.wfile.write(body)
            self.wfile.flush()
        if reply.fault == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests read `seen`."""


class Webhook:
    """Takes what is posted to it, notes it, and answers with `status`; a context manager."""

    def __init__(self, path: str = "/services/a-token-that-nobody-may-see") -> None:
        self.path = path
        self.status = 200
        self.posted: list[dict[str, Any]] = []
        handler = type("Taker", (_Taker,), {"webhook": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}{self.path}"

    def __enter__(self) -> "Webhook":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Taker(BaseHTTPRequestHandler):
    webhook: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == self.webhook.path:
            self.webhook.posted.append(json.loads(body))
        self.send_response(self.webhook.status if self.path == self.webhook.path else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests read `posted`."""


class ComtradePublisher(Publisher):
    """The UN Comtrade API over given rows (of the API's own 47 columns), with its caps and key."""

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        key: str = "",
        caps: tuple[int, int] = (500, 100_000),
        quota: int = 10_000,
    ) -> None:
        super().__init__(self._answer)
        self.rows = [dict(row) for row in rows]
        self.key = key
        self.caps = caps
        self.quota = quota
        self.checksum = 1
        self.revised: dict[str, int] = {}  # {year: checksum} of years published anew
        self.twice = False

    def plays(self, path: str) -> bool:
        return "getDa" not in path

    @property
    def data_calls(self) -> list[Seen]:
        return [seen for seen in self.seen if "getDa" not in seen.path]

    def _answer(self, path: str, params: dict[str, str], headers: dict[str, str]) -> Reply:
        given = {name.lower(): value for name, value in headers.items()}
        keyed = path.startswith("/data/v1/")
        if keyed and given.get("ocp-apim-subscription-key") != self.key:
            return as_json({"statusCode": 401, "message": "Access denied due to ..."}, 401)
        if len(self.seen) > self.quota:
            words = "Out of call volume quota. Quota will be replenished in 07:12:09."
            return as_json({"statusCode": 403, "message": words}, 403)
        if len(params["period"].split(",")) > 12:
            return as_json({"statusCode": 400, "message": "At most 12 periods per call."}, 400)
        if path.endswith("/getDa/C/A/HS"):
            return self._envelope(self._availability(params))
        if path not in {"/data/v1/get/C/A/HS", "/public/v1/preview/C/A/HS"}:
            return as_json({"statusCode": 404, "message": "Resource not found"}, 404)
        cap = self.caps[1] if keyed else self.caps[0]
        return self._envelope(self._select(params)[: min(cap, int(params["maxRecords"]))])

    def _envelope(self, rows: list[dict[str, Any]]) -> Reply:
        rows = rows + rows if self.twice else rows
        return as_json({"elapsedTime": "0.1 secs", "count": len(rows), "data": rows, "error": ""})

    def _select(self, params: Mapping[str, str]) -> list[dict[str, Any]]:
        names = (
            "reporterCode", "period", "cmdCode", "flowCode", "partnerCode", "partner2Code",
            "motCode", "customsCode",
        )  # fmt: skip
        asked = {name: set(params[name].split(",")) for name in names if name in params}
        return [
            row
            for row in self.rows
            if all(str(row[name]) in values for name, values in asked.items())
        ]

    def _availability(self, params: Mapping[str, str]) -> list[dict[str, Any]]:
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for row in self.rows:
            place = str(row["reporterCode"]), str(row["period"])
            wanted = params.get("reportercode", place[0])
            if place[0] == wanted and place[1] in params["period"].split(","):
                said = found.setdefault(
                    place,
                    {
                        "reporterCode": row["reporterCode"], "period": int(row["period"]),
                        "classificationCode": row["classificationCode"],
                        "isOriginalClassification": True, "totalRecords": 0,
                        "datasetChecksum": self.revised.get(place[1], self.checksum),
                        "firstReleased": "2022-03-01T00:00:00",
                        "lastReleased": "2023-05-01T00:00:00",
                    },
                )  # fmt: skip
                said["totalRecords"] += 1
        return list(found.values())


class WorldBankPublisher(Publisher):
    """The World Bank API over figures {code: {(iso3, year): value}} and its list of economies."""

    def __init__(
        self,
        figures: Mapping[str, Mapping[tuple[str, int], float]],
        economies: Iterable[Mapping[str, str]],
    ) -> None:
        super().__init__(self._answer)
        self.figures = figures
        self.economies = [*map(dict, economies)]
        self.updated = {"2": "2026-07-01", "3": "2025-11-01"}
        self.governance_prefix = "GOV_WGI_"  # "" until July 2026
        self.largest_page = 32_500

    def _answer(self, path: str, params: dict[str, str], headers: dict[str, str]) -> Reply:
        if path == "/v2/country":
            return self._page(params, [*map(self._economy, self.economies), *_GROUPS], None)
        code = path.rpartition("/")[2]
        source = params.get("source", "2")
        prefix = self.governance_prefix if source == "3" else ""
        known = {prefix + name: name for name in self.figures}
        if path != f"/v2/country/all/indicator/{code}" or code not in known:
            value = "The indicator was not found. It may have been deleted or archived."
            return as_json([{"message": [{"id": "175", "key": "Invalid format", "value": value}]}])
        first, last = params.get("date", "2023:2023").split(":")
        values = self.figures[known[code]]
        places = [(e["iso3"], e["name"]) for e in self.economies] + [("WLD", "World")]
        rows = [
            {
                "indicator": {"id": code, "value": code},
                "country": {"id": iso3[:2], "value": name},
                "countryiso3code": iso3,
                "date": str(year),
                "value": values.get((iso3, year), 1e12 if iso3 == "WLD" else None),
                "unit": "",
                "decimal": 0,
            }
            for iso3, name in places
            for year in range(int(last), int(first) - 1, -1)
        ]
        return self._page(params, rows, self.updated[source])

    def _page(self, params: Mapping[str, str], rows: list[Any], updated: str | None) -> Reply:
        size = min(int(params.get("per_page", "50")), self.largest_page)
        page = int(params.get("page", "1"))
        meta = {"page": page, "pages": -(-len(rows) // size), "per_page": size, "total": len(rows)}
        if updated:
            meta |= {"sourceid": "2", "lastupdated": updated}
        return as_json([meta, rows[(page - 1) * size : page * size]])

    def _economy(self, row: Mapping[str, str]) -> dict[str, Any]:
        return {
            "id": row["iso3"],
            "iso2Code": row["iso3"].lower(),
            "name": row["name"],
            "region": {"id": "XXX", "iso2code": "XX", "value": row["region"] + " "},
            "incomeLevel": {"id": "XXX", "value": row["income_group"] or "Not classified"},
        }


_GROUPS = [
    {
        "id": code,
        "iso2Code": iso2,
        "name": name,
        "region": {"id": "NA", "iso2code": "NA", "value": "Aggregates"},
        "incomeLevel": {"id": "NA", "value": "Aggregates"},
    }
    for code, iso2, name in (("WLD", "1W", "World"), ("AFE", "ZH", "Africa Eastern and Southern"))
]


class FilePublisher(Publisher):
    """Files by path, each with an ETag: what is unchanged is answered with 304."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(self._answer)
        self.files = dict(files)

    def _answer(self, path: str, params: dict[str, str], headers: dict[str, str]) -> Reply:
        content = self.files.get(unquote(path))
        if content is None:
            return Reply(404, b"Not found")
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        if headers.get("If-None-Match") == etag:
            return Reply(304, b"", {"ETag": etag})
        return Reply(200, content, {"ETag": etag})


def geodist_workbook(economies: Iterable[Mapping[str, Any]], code_of: Mapping[str, str]) -> bytes:
    """GeoDist's file of cities, from rows of our own geography figures; `code_of` gives GeoDist's
    code of each ISO3 code that it has."""
    names = ("iso2", "iso3", "country", "area", "landlocked", "city_en", "lat", "lon", "cap",
             "maincity")  # fmt: skip
    rows: list[list[object]] = [list(names)]
    for row in economies:
        if code := code_of.get(row["iso3"]):
            country = [code[:2], code, row["name"], row["area_km2"], row["landlocked_geodist"]]
            for city, is_capital in (("main_city", 0), ("capital", 1)):
                place = [row[city], row[f"{city}_lat_deg"], row[f"{city}_lon_deg"]]
                rows.append([*country, *place, is_capital, 1 - is_capital])
    return make_workbook({"geo_cepii": rows})


def make_workbook(sheets: Mapping[str, list[list[object]]]) -> bytes:
    """The bytes of an .xlsx workbook with these cells, numbers as numbers, None as no cell.

    The same cells give the same bytes: what is packed has no time of its own.
    """
    content = io.BytesIO()
    names = list(sheets)
    package = "http://schemas.openxmlformats.org"
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:

        def write(name: str, xml: str) -> None:
            archive.writestr(zipfile.ZipInfo(name), xml, zipfile.ZIP_DEFLATED)

        write(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/package/2006/content-types">'
            '<Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/></Types>',
        )
        write(
            "_rels/.rels",
            f'<Relationships xmlns="{package}/package/2006/relationships"><Relationship Id="rId1" '
            f'Type="{package}/officeDocument/2006/relationships/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        write(
            "xl/workbook.xml",
            f'<workbook xmlns="{package}/spreadsheetml/2006/main" '
            f'xmlns:r="{package}/officeDocument/2006/relationships"><sheets>'
            + "".join(
                f'<sheet name="{escape(name)}" sheetId="{i}" r:id="rId{i}"/>'
                for i, name in enumerate(names, 1)
            )
            + "</sheets></workbook>",
        )
        write(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}/package/2006/relationships">'
            + "".join(
                f'<Relationship Id="rId{i}" Target="worksheets/sheet{i}.xml" '
                f'Type="{package}/officeDocument/2006/relationships/worksheet"/>'
                for i in range(1, len(names) + 1)
            )
            + "</Relationships>",
        )
        for i, name in enumerate(names, 1):
            rows = "".join(_row(number, cells) for number, cells in enumerate(sheets[name]))
            write(
                f"xl/worksheets/sheet{i}.xml",
                f'<worksheet xmlns="{package}/spreadsheetml/2006/main">'
                f"<sheetData>{rows}</sheetData></worksheet>",
            )
    return content.getvalue()


def _row(number: int, cells: list[object]) -> str:
    made = []
    for column, value in enumerate(cells):
        place = xl_rowcol_to_cell(number, column)
        if isinstance(value, int | float):
            made.append(f'<c r="{place}"><v>{value}</v></c>')
        elif value is not None:
            text = escape(str(value))
            made.append(f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>')
    return f'<row r="{number + 1}">{"".join(made)}</row>'
