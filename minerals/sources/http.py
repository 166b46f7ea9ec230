"""One way to ask a publisher: time-outs, retries, a rate and a daily quota, checked answers.

A failure that may pass (a time-out, a dropped connection, 408, 425, 429, 5xx, a page of HTML or
half a body where data were expected, a gateway's page in the place of the service's own refusal, an
error of one of these kinds with status 200) is retried, later each time; every other failure stops
at once with a message, the service's own words first. A project that retried all failures alike
once sent the same refused request 5,363 times.

The key of a source travels in a request header. It is in no URL, and no exception raised here holds
the request that carried it: httpx's own exceptions do, so they are not chained.
"""

import json
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, NoReturn

import httpx
import tenacity
from filelock import FileLock
from pydantic import BaseModel, SecretStr

from minerals.errors import (
    PermanentSourceError,
    QuotaExhaustedError,
    SourceError,
    TransientSourceError,
)
from minerals.files import write_atomically

Expected = Literal["json", "workbook", "csv"]
USER_AGENT = "mineral-sourcing-warehouse"
_WORKBOOK_STARTS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx, .xls
_TRANSIENT_STATUS = frozenset({408, 425, 429})
_QUOTA_STATUS = frozenset({403, 429})
_KEY_STATUS = frozenset({401, 403})
_EXCERPT = 200
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait for an answer, how often to ask again, and when to give up. Seconds."""

    attempts: int = 6
    first_wait: float = 0.5
    longest_wait: float = 60.0
    longest_retry_after: float = 120.0
    connect_timeout: float = 10.0
    read_timeout: float = 60.0


@dataclass(frozen=True)
class Answer:
    """What a publisher sent, with what its note records. `body` is empty when it is unchanged."""

    url: str
    params: Mapping[str, str]
    status: int
    body: bytes = field(repr=False)
    etag: str | None
    last_modified: str | None
    retrieved_at: str

    @property
    def is_unchanged(self) -> bool:
        """True for status 304: the stored answer is still the publisher's."""
        return self.status == httpx.codes.NOT_MODIFIED

    def json(self) -> Any:
        """The body as JSON, which `Client.get` has checked."""
        return json.loads(self.body)


class _Use(BaseModel):
    """What is stored of a source's calls. Times are seconds since 1970; the day is UTC's."""

    day: str = ""
    used: int = 0
    next_slot: float = 0.0
    blocked_until: float = 0.0
    blocked_per_day: int = 0  # the setting when the publisher asked to wait


@dataclass
class Allowance:
    """The rate and the daily quota of one key of a source, in a file, so that a restart changes
    nothing.

    A publisher's request to wait ends when `per_day` is set to another number: then the plan of the
    key has changed. A call is counted before it is sent, so a process that dies in between has used
    it. Safe between processes.
    """

    file: Path
    per_day: int
    seconds_between: float
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def take(self) -> None:
        """Wait for the next slot and count one call.

        Raises QuotaExhaustedError, without waiting, when the day's calls are used up.
        """
        with self._use() as use:
            now = self.now()
            if use.blocked_until > now and use.blocked_per_day in {0, self.per_day}:
                self._refuse(use.blocked_until, "the publisher asked to wait")
            if use.used >= self.per_day:
                midnight = (now // _DAY_SECONDS + 1) * _DAY_SECONDS
                self._refuse(midnight, f"all {self.per_day} calls of the day are used")
            slot = max(now, use.next_slot)
            use.used += 1
            use.next_slot = slot + self.seconds_between
        if slot > now:
            self.sleep(slot - now)

    def block(self, seconds: float) -> None:
        """Allow no call for this long, because the publisher said so."""
        with self._use() as use:
            use.blocked_until = self.now() + seconds
            use.blocked_per_day = self.per_day

    def _refuse(self, until: float, why: str) -> NoReturn:
        source, moment = self.file.stem.partition("-")[0], datetime.fromtimestamp(until, UTC)
        raise QuotaExhaustedError(
            f"No call is left for {source}: {why}. What was fetched is kept; a refresh after "
            f"{moment:%Y-%m-%d %H:%M} UTC continues from there.",
            until - self.now(),
        )

    @contextmanager
    def _use(self) -> Iterator[_Use]:
        """The stored use, to be changed. A file that cannot be read starts again: the publisher
        counts too, and its refusal is stored here."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.file}.lock"):
            try:
                before = _Use.model_validate_json(self.file.read_bytes())
            except (OSError, ValueError):
                before = _Use()
            use = before.model_copy()
            today = datetime.fromtimestamp(self.now(), UTC).date().isoformat()
            if use.day != today:
                use.day, use.used = today, 0
            yield use
            if use != before:
                write_atomically(self.file, use.model_dump_json() + "\n")


@dataclass
class Client:
    """Asks one publisher. `secrets` are headers whose values appear nowhere else."""

    base_url: str
    name: str
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)
    allowance: Allowance | None = None
    sleep: Callable[[float], None] = time.sleep
    max_bytes: int = 200 << 20

    def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        expected: Expected = "json",
        check: Callable[[Answer], object] | None = None,
        etag: str | None = None,
        last_modified: str | None = None,
    ) -> Answer:
        """Ask until there is an answer of the expected kind.

        `etag` and `last_modified` make the request conditional: the answer may then be unchanged.
        `check(answer)` may raise TransientSourceError to have it asked again. Raises
        PermanentSourceError at once, TransientSourceError after the last try, QuotaExhaustedError
        when no call is left.
        """
        params = dict(params or {})
        conditions = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        headers = {name: value for name, value in conditions.items() if value}
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.policy.attempts),
            wait=self._wait,
            retry=tenacity.retry_if_exception_type(TransientSourceError)
            & tenacity.retry_if_not_exception_type(QuotaExhaustedError),
            sleep=self.sleep,
            reraise=True,
        )
        try:
            answer: Answer = retrying(self._ask_once, path, params, headers, expected, check)
        except QuotaExhaustedError:
            raise
        except TransientSourceError as error:
            raise TransientSourceError(
                f"{error} Asked {self.policy.attempts} times. Nothing was changed; a later refresh "
                "may succeed.",
                error.retry_after_seconds,
            ) from None
        return answer

    def url(self, path: str) -> str:
        """The address of a path, without parameters."""
        return f"{self.base_url.rstrip('/')}/{path.lstrip('/')}" if path else self.base_url

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Twice as long each time, with jitter; longer when the publisher asks for it."""
        first = self.policy.first_wait
        backoff = tenacity.wait_exponential_jitter(first, self.policy.longest_wait, jitter=first)
        error = state.outcome.exception() if state.outcome else None
        return max(backoff(state), getattr(error, "retry_after_seconds", None) or 0.0)

    def _ask_once(
        self,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        expected: Expected,
        check: Callable[[Answer], object] | None,
    ) -> Answer:
        if self.allowance:
            self.allowance.take()
        url = self.url(path)
        request = f"{self.name}: GET {httpx.URL(url, params=dict(params) or None)}"
        problem = None
        try:
            response, body = self._send(url, params, headers, request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Raised below, outside of the handler: the exception of httpx holds the request, and
            # the request holds the key.
            problem = _transport_problem(error, request, self._without_secrets(str(error)))
        if problem:
            raise problem
        if response.status_code != httpx.codes.OK and not (
            response.status_code == httpx.codes.NOT_MODIFIED and headers
        ):
            retry_after = response.headers.get("Retry-After")
            self._refuse_status(response.status_code, body, request, retry_after)
        elif expected == "json" and (status := _status_in(body)):
            self._refuse_status(status, body, request)
        answer = Answer(
            url=url,
            params=dict(params),
            status=response.status_code,
            body=body,
            etag=response.headers.get("ETag"),
            last_modified=response.headers.get("Last-Modified"),
            retrieved_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        if not answer.is_unchanged:
            _check_content(body, expected, request)
            if check:
                check(answer)
        return answer

    def _send(
        self, url: str, params: Mapping[str, str], headers: Mapping[str, str], request: str
    ) -> tuple[httpx.Response, bytes]:
        timeout = httpx.Timeout(self.policy.read_timeout, connect=self.policy.connect_timeout)
        secret = {name: value.get_secret_value() for name, value in self.secrets.items()}
        headers = {"User-Agent": USER_AGENT, **headers, **secret}
        body = bytearray()
        with (
            # A redirect would carry the key to another server, so none is followed with a key.
            httpx.Client(timeout=timeout, follow_redirects=not secret, verify=_tls()) as client,
            client.stream("GET", url, params=dict(params) or None, headers=headers) as response,
        ):
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > self.max_bytes:
                    raise PermanentSourceError(
                        f"{request}: the answer is larger than {self.max_bytes:,} bytes, which "
                        "cannot be the expected data. Nothing of it is used."
                    )
        if any(value.encode() in body for value in secret.values()):
            raise PermanentSourceError(
                f"{request}: the answer repeats the key of the request, so it is not kept. "
                "Check which server answers at this address, and renew the key."
            )
        return response, bytes(body)

    def _without_secrets(self, text: str) -> str:
        for value in self.secrets.values():
            for form in (value.get_secret_value(), repr(value.get_secret_value())[1:-1]):
                text = text.replace(form, "(the key)")
        return text

    def _refuse_status(
        self, status: int, body: bytes, request: str, retry_after: str | None = None
    ) -> NoReturn:
        """Raise the error of a status that brings no answer: the service's words, then where."""
        said = f"{self.name}: {_words(body) or 'no words came'} (status {status})."
        where = f"The request: {request.removeprefix(f'{self.name}: ')}"
        if status in _QUOTA_STATUS and (seconds := quota_seconds(body)) is not None:
            self._refuse_quota(said, seconds)
        if status in _TRANSIENT_STATUS or status >= 500:
            wait = _retry_after(retry_after)
            if wait is not None and wait > self.policy.longest_retry_after:
                self._refuse_quota(said, wait)
            raise TransientSourceError(f"{said} {where}.", wait)
        if status in _KEY_STATUS and _is_html(body):
            raise TransientSourceError(
                f"{said} The page is of a gateway, a proxy or a firewall before the service, which "
                f"has not judged the key. {where}."
            )
        advice = _advice(status, bool(self.secrets))
        raise PermanentSourceError(f"{said} {advice} {where}.")

    def _refuse_quota(self, said: str, seconds: float) -> NoReturn:
        if self.allowance:
            self.allowance.block(seconds)
        raise QuotaExhaustedError(
            f"{said} The publisher gives no more answers for "
            f"{timedelta(seconds=int(seconds))} (hours:minutes:seconds). What was fetched is kept; "
            "a later refresh continues from there.",
            seconds,
        )


@cache
def _tls() -> ssl.SSLContext:
    """Reading the certificates takes a tenth of a second, so they are read once per process."""
    return httpx.create_ssl_context()


def _check_content(body: bytes, expected: Expected, request: str) -> None:
    """Raise TransientSourceError unless the body is of the expected kind."""
    if not body.strip():
        raise TransientSourceError(f"{request} was answered with status 200 and an empty body.")
    if _is_html(body):
        raise TransientSourceError(
            f"{request} was answered with a page of HTML where {expected} was expected"
            f"{_excerpt(body)}. It is usually a maintenance notice or comes from a gateway."
        )
    if expected == "workbook":
        if not body.startswith(_WORKBOOK_STARTS):
            raise TransientSourceError(
                f"{request}: the answer is not an .xlsx or .xls workbook; it begins with "
                f"{body[:8]!r}."
            )
        return
    if expected == "csv":  # who reads it looks at its header and rows
        return
    try:
        json.loads(body, parse_constant=_refuse_constant)
    except ValueError as error:
        raise TransientSourceError(
            f"{request}: the answer of {len(body):,} bytes is not complete JSON ({error}): it was "
            "cut short or damaged in transit."
        ) from error


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _transport_problem(error: Exception, request: str, words: str) -> SourceError:
    """The error for a request without any answer: transient or permanent."""
    kind = type(error).__name__
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.TooManyRedirects):
        return PermanentSourceError(
            f"{request}: {kind}: {words}. Correct the address it is set to."
        )
    if isinstance(error, httpx.LocalProtocolError):
        return PermanentSourceError(f"{request} cannot be sent: {words}. Correct the settings.")
    if "CERTIFICATE_VERIFY_FAILED" in words:
        return PermanentSourceError(
            f"{request}: the server's certificate is not trusted: {words}. Check the address; "
            "behind a proxy with certificates of its own, set SSL_CERT_FILE to the proxy's."
        )
    return TransientSourceError(f"{request} got no complete answer: {kind}: {words}.")


def _advice(status: int, has_key: bool) -> str:
    if status in _KEY_STATUS:
        given = "The key given is not accepted" if has_key else "A key is needed"
        return f"{given}: see docs/operations.md on how to get one. The request is not repeated."
    if 300 <= status < 400:
        return "The publisher moved: set the address in the settings to the new one."
    return "The same request would be refused again, so it is not repeated."


def quota_seconds(body: bytes) -> float | None:
    """Seconds until the quota is filled again, from a body such as 'Out of call volume quota. Quota
    will be replenished in 07:12:09.'; None when the body does not mention a quota."""
    text = body.decode("utf-8", "replace")
    if "quota" not in text.lower():
        return None
    if found := re.search(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})", text):
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return timedelta(days, seconds, hours=hours, minutes=minutes).total_seconds()
    return 3600.0


def _retry_after(value: str | None) -> float | None:
    """Seconds, from a number of seconds or an HTTP date (RFC 9110, section 10.2.3)."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(moment.tzinfo or UTC)).total_seconds())


def _is_html(body: bytes) -> bool:
    return body.lstrip()[:32].lower().startswith((b"<!doctype html", b"<html"))


def _status_in(body: bytes) -> int | None:
    """The status that an answer of status 200 says it has, when that is an error."""
    if b'"statusCode"' not in body:
        return None
    try:
        content = json.loads(body)
    except ValueError:
        return None
    status = content.get("statusCode") if isinstance(content, dict) else None
    return status if isinstance(status, int) and 400 <= status < 600 else None


def _words(body: bytes) -> str:
    """What a service says in a refusal: the texts of its JSON, or the text of its page."""
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    if isinstance(content, dict):
        said = [text for text in _texts(content) if text]
        return "; ".join(dict.fromkeys(said))[:_EXCERPT]
    text = re.sub(r"<[^>]*>", " ", body[:2000].decode("utf-8", "replace"))
    return re.sub(r"\s+", " ", text).strip()[:_EXCERPT]


def _texts(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content.strip().rstrip(".")
    for part in content.values() if isinstance(content, dict) else ():
        yield from _texts(part)
    for part in content if isinstance(content, list) else ():
        yield from _texts(part)


def _excerpt(body: bytes) -> str:
    words = _words(body)
    return f" and the words: {words}" if words else ""
