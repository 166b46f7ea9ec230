"""Publishers on the loopback interface: real HTTP servers that behave as the real ones, and badly.

`Publisher` answers GET requests with what `answer(path, params)` returns, notes every request, and
plays the faults of its script, one a request, before it behaves. `ComtradePublisher` replays rows.
"""

import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

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
            time.sleep(1)
        if reply.fault == "slow":
            time.sleep(0.2)
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
            if place[0] == params["reportercode"] and place[1] in params["period"].split(","):
                said = found.setdefault(
                    place,
                    {
                        "reporterCode": row["reporterCode"], "period": int(row["period"]),
                        "classificationCode": row["classificationCode"],
                        "isOriginalClassification": True, "totalRecords": 0,
                        "datasetChecksum": self.checksum,
                        "firstReleased": "2022-03-01T00:00:00",
                        "lastReleased": "2023-05-01T00:00:00",
                    },
                )  # fmt: skip
                said["totalRecords"] += 1
        return list(found.values())
