"""The HTTP layer against a real server that misbehaves: what is asked again, what stops at once."""

import json
from dataclasses import replace

import pytest
from pydantic import SecretStr

from minerals.errors import PermanentSourceError, QuotaExhaustedError, TransientSourceError
from minerals.sources.http import Allowance, Client, RetryPolicy, quota_seconds
from tests.publishers import HTML, Publisher, Reply, as_json

KEY = "a-key-that-nobody-may-see"
POLICY = RetryPolicy(attempts=4, first_wait=0.5, connect_timeout=10.0, read_timeout=10.0)


@pytest.fixture
def publisher():
    with Publisher(lambda path, params, headers: as_json({"rows": [1, 2, 3] * 50})) as server:
        yield server


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(publisher, waits) -> Client:
    """A client that notes how long it would wait instead of waiting."""
    return Client(
        publisher.url,
        "A publisher",
        POLICY,
        {"X-Key": SecretStr(KEY)},
        sleep=waits.append,
    )


@pytest.mark.parametrize(
    "fault",
    ["429", "500", "503", "408", "reset", "half", "half without length", "damaged gzip", "html",
     "empty"],
)  # fmt: skip
def test_what_can_pass_is_asked_again(publisher, client, waits, fault):
    publisher.script = [fault, fault]
    assert client.get("data", {"a": "1,2"}).json() == {"rows": [1, 2, 3] * 50}
    assert len(publisher.seen) == 3
    assert {seen.params["a"] for seen in publisher.seen} == {"1,2"}
    assert 0.5 <= waits[0] <= 1.0
    assert 1.0 <= waits[1] <= 1.5


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "not repeated"),
        (401, "key given is not accepted"),
        (403, "key given is not accepted"),
        (404, "not repeated"),
        (405, "not repeated"),
        (301, "moved"),
    ],
)
def test_a_refusal_stops_at_once_with_the_publishers_words(publisher, client, waits, status, words):
    publisher.script = [as_json({"message": "The field reporterCode is invalid"}, status)]
    with pytest.raises(PermanentSourceError) as caught:
        client.get("data", {"reporterCode": "0"})
    assert len(publisher.seen) == 1
    assert waits == []
    said = str(caught.value)
    for expected in (words, f"status {status}", "data?reporterCode=0"):
        assert expected in said
    assert said.startswith("A publisher: The field reporterCode is invalid (")  # before the address


@pytest.mark.parametrize("status", [401, 403])
def test_a_gateway_s_page_does_not_judge_the_key_and_is_asked_again(publisher, client, status):
    page = Reply(status, b"<html><h1>403 Forbidden</h1>nginx</html>", {"Content-Type": "text/html"})
    publisher.script = [page]
    assert client.get("data").json()
    publisher.script = [page] * 4
    with pytest.raises(TransientSourceError, match="gateway") as caught:
        client.get("data")
    assert "The key given" not in str(caught.value)


def test_an_error_with_status_200_is_of_the_kind_that_it_says(publisher, client, tmp_path):
    publisher.script = [as_json({"statusCode": 500, "message": "Try again."})]
    assert client.get("data").json()
    publisher.script = [as_json({"statusCode": 400, "message": "The field is invalid."})]
    with pytest.raises(PermanentSourceError, match=r"The field is invalid \(status 400\)"):
        client.get("data")
    quota = "Out of call volume quota. Quota will be replenished in 07:12:09."
    publisher.script = [as_json({"statusCode": 403, "message": quota})]
    with pytest.raises(QuotaExhaustedError):
        client.get("data")


def test_after_the_last_try_it_says_how_often_and_that_a_later_one_may_succeed(publisher, client):
    publisher.script = ["500"] * 10
    with pytest.raises(TransientSourceError, match=r"went wrong.*status 500.*Asked 4 times.*later"):
        client.get("data")
    assert len(publisher.seen) == 4


def test_the_publisher_says_how_long_to_wait(publisher, client, waits):
    publisher.script = ["429 7", "429 Wed, 21 Oct 2015 07:28:00 GMT", "429 soon"]
    client.get("data")
    assert waits[0] == 7.0
    assert waits[1] <= 1.5  # a moment that has passed: the back-off counts
    assert waits[2] <= 2.5  # not understood: the back-off counts


def test_a_server_that_is_not_there_is_asked_again_and_then_named(client, publisher, waits):
    publisher.server.server_close()
    with pytest.raises(TransientSourceError, match=r"A publisher: GET http.*ConnectError"):
        client.get("data")
    assert len(waits) == 3


def test_an_answer_larger_than_allowed_is_refused(publisher, client):
    client.max_bytes = 100
    with pytest.raises(PermanentSourceError, match="larger than 100 bytes"):
        client.get("data")
    assert len(publisher.seen) == 1


def test_a_small_packed_answer_that_unpacks_to_too_much_is_refused(publisher, client):
    publisher.answer = lambda *_: Reply(200, b" " * 3_000_000 + b"{}")
    publisher.script = ["gzip"]
    client.max_bytes = 1_000_000
    with pytest.raises(PermanentSourceError, match="larger than 1,000,000 bytes"):
        client.get("data")


def test_packed_answers_are_unpacked(publisher, client):
    publisher.script = ["gzip"]
    assert client.get("data").json()["rows"][:3] == [1, 2, 3]


@pytest.mark.parametrize("body", [b'{"a": NaN}', b'{"a": 1', b"a;b\n1;2\n"])
def test_what_is_no_json_is_not_taken_for_it(publisher, client, body):
    publisher.script = [Reply(200, body)] * 4
    with pytest.raises(TransientSourceError, match="not complete JSON"):
        client.get("data")


def test_a_page_of_html_is_no_workbook(publisher, client):
    publisher.script = [Reply(200, HTML)] * 4
    with pytest.raises(
        TransientSourceError, match=r"HTML where workbook.*Service under maintenance"
    ):
        client.get("file.xlsx", expected="workbook")
    publisher.script = [Reply(200, b"PK\x05\x06 no file in it")] * 4
    with pytest.raises(TransientSourceError, match=r"not an \.xlsx or \.xls workbook"):
        client.get("file.xlsx", expected="workbook")


def test_an_unchanged_answer_costs_no_body(publisher, client):
    publisher.answer = lambda path, params, headers: (
        Reply(304)
        if headers.get("If-None-Match") == '"v1"'
        else as_json([1], ETag='"v1"', **{"Last-Modified": "Sat, 01 Jan 2022 00:00:00 GMT"})
    )
    first = client.get("data")
    assert (first.etag, first.last_modified) == ('"v1"', "Sat, 01 Jan 2022 00:00:00 GMT")
    again = client.get("data", etag=first.etag, last_modified=first.last_modified)
    assert again.is_unchanged
    assert again.body == b""
    assert publisher.seen[1].headers["If-Modified-Since"] == "Sat, 01 Jan 2022 00:00:00 GMT"


@pytest.mark.parametrize(
    "fault", ["500", "reset", "html", "400", "401", "half", "echo", "redirect"]
)
def test_the_key_is_sent_in_a_header_and_is_in_no_error(publisher, client, fault, caplog):
    caplog.set_level("DEBUG")
    other = {"echo": as_json({"message": f"{KEY} is not valid"}, 401),
             "redirect": Reply(302, b"", {"Location": "http://127.0.0.1:1/elsewhere"})}  # fmt: skip
    publisher.script = [other.get(fault, fault)] * 4
    with pytest.raises((PermanentSourceError, TransientSourceError)) as caught:
        client.get("data", {"a": "b"})
    assert publisher.seen[0].headers["X-Key"] == KEY
    shown, error = [repr(client), caplog.text], caught.value
    while error is not None:
        shown += [repr(error), str(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    assert not [text for text in shown if KEY in text]


def test_a_key_that_fits_in_no_header_is_not_shown_by_the_refusal(publisher):
    broken = Client(publisher.url, "A publisher", POLICY, {"X-Key": SecretStr(f"{KEY}\n")})
    with pytest.raises(PermanentSourceError, match=r"cannot be sent.*\(the key\)") as caught:
        broken.get("data")
    assert KEY not in str(caught.value)


def test_no_redirect_is_followed_with_a_key_and_one_is_without(publisher, client):
    publisher.answer = lambda path, *_: (
        Reply(302, b"", {"Location": "/there"}) if path == "/here" else as_json([path])
    )
    with pytest.raises(PermanentSourceError, match="status 302"):
        client.get("here")
    assert Client(publisher.url, "A publisher").get("here").json() == ["/there"]


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self.time = start

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def allowance(folder, clock, **fields) -> Allowance:
    given = {"per_day": 3, "seconds_between": 1.0} | fields
    return Allowance(folder / "state" / "comtrade.json", now=clock.now, sleep=clock.sleep, **given)


def used(folder) -> int:
    return json.loads((folder / "state" / "comtrade.json").read_text())["used"]


def test_calls_are_a_second_apart_also_after_a_restart(tmp_path):
    clock = Clock()
    allowance(tmp_path, clock).take()
    clock.time += 0.25
    allowance(tmp_path, clock).take()
    assert clock.time == 1_800_000_001.0


def test_the_quota_of_the_day_survives_a_restart_and_ends_with_the_day(tmp_path):
    clock = Clock()
    for _ in range(3):
        allowance(tmp_path, clock).take()
    with pytest.raises(QuotaExhaustedError, match=r"comtrade.*3 calls.*2027-01-16 00:00 UTC"):
        allowance(tmp_path, clock).take()
    assert used(tmp_path) == 3
    clock.time += 86_400
    allowance(tmp_path, clock).take()
    assert used(tmp_path) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        as_json(
            {"message": "Out of call volume quota. Quota will be replenished in 07:12:09."}, 403
        ),
        as_json({"message": "Rate limit is exceeded."}, 429, **{"Retry-After": "25929"}),
    ],
)
def test_a_refusal_for_the_day_is_kept_and_the_publisher_left_alone(
    publisher, client, tmp_path, refusal
):
    clock = Clock()
    client.allowance = allowance(tmp_path, clock)
    publisher.script = [refusal]
    with pytest.raises(QuotaExhaustedError, match="7:12:09"):
        client.get("data")
    with pytest.raises(QuotaExhaustedError, match="asked to wait"):
        client.get("data")
    assert len(publisher.seen) == 1
    clock.time += 25_930
    client.get("data")


def test_a_publisher_s_block_ends_with_the_setting_that_the_plan_changed(tmp_path):
    clock = Clock()
    allowance(tmp_path, clock).block(25_929.0)
    with pytest.raises(QuotaExhaustedError):
        allowance(tmp_path, clock).take()
    allowance(tmp_path, clock, per_day=20_000).take()


def test_every_try_counts_as_a_call(publisher, client, tmp_path):
    client.allowance = allowance(tmp_path, Clock(), per_day=10)
    publisher.script = ["500", "429"]
    client.get("data")
    assert used(tmp_path) == 3


def test_a_state_file_that_cannot_be_read_is_begun_anew(tmp_path):
    file = tmp_path / "state" / "comtrade.json"
    file.parent.mkdir()
    file.write_text('{"used": 3, "da')
    allowance(tmp_path, Clock()).take()
    assert used(tmp_path) == 1


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (b"Quota will be replenished in 00:01:05.", 65.0),
        (b"Out of call volume quota. Quota will be replenished in 1.02:00:00.", 93_600.0),
        (b"Out of call volume quota.", 3600.0),
        (b"Access denied", None),
    ],
)
def test_the_words_of_a_spent_quota_are_read(body, seconds):
    assert quota_seconds(body) == seconds


def test_the_read_time_out_is_kept(publisher, client):
    publisher.script = ["hang"] * 4
    client.policy = replace(POLICY, read_timeout=0.1)
    with pytest.raises(TransientSourceError, match="ReadTimeout"):
        client.get("data")
    assert len(publisher.seen) == 4
