"""Requests to `mirnagraph serve` that say two things, or that mean no good."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from fusion.serve import guard
from fusion.serve.app import MAX_MESSAGE, create_app
from fusion.serve.guard import Guard, Hosts
from fusion.serve.server import address_of, is_loopback, listen
from fusion.serve.service import Service, open_service
from mirnagraph.errors import ConfigError

JSON = {"content-type": "application/json"}

NAME = {"names": ["hsa-mir-21"]}

FASTA = b">a\nUGCAGGUAGCUUAUCAGACUAAUGUUGACGG\n"


@pytest.fixture(scope="module")
def service() -> Service:
    return open_service("shipped")


@pytest.fixture(scope="module")
def client(service: Service) -> TestClient:
    app = create_app(service, Hosts.of("127.0.0.1"))
    return TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)


def error_of(response: Any, status: int) -> str:
    assert response.status_code == status, response.text
    assert list(response.json()) == ["error"]
    return str(response.json()["error"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"names":["a"],"names":["hsa-mir-21"]}', "names is given twice; expected once"),
        # as FASTA with one id twice is refused, no sequence is dropped
        (b'{"sequences":{"a":"ACGU","b":"ACGU","a":"GGGG"}}', "a is given twice; expected once"),
        (b'{"sequences":{"\\ud800":"ACGU","\\ud800":"GGGG"}}', "is given twice; expected once"),
        (b'{"names":["a"],"x":{"b":1,"b":1}}', "b is given twice; expected once"),
        (b'{"names":["\xe9"]}', "the body is not UTF-8 at byte 12"),
        (b"[" * 100_000, "the body is nested too deeply"),
        (b'{"names":' * 20_000, "the body is nested too deeply"),
        (b'{"names":[' + b"9" * 10_000 + b"]}", "a number in the body has too many digits"),
    ],
    ids=["field", "sequence", "half", "inner", "latin-1", "deep", "deep objects", "digits"],
)
def test_json_that_says_no_one_thing_is_refused(
    client: TestClient, body: bytes, message: str
) -> None:
    assert message in error_of(client.post("/api/predict", content=body, headers=JSON), 400)


def test_json_in_other_encodings_is_read_and_a_compressed_body_is_named(client: TestClient) -> None:
    text = json.dumps(NAME)
    expected = client.post("/api/predict", json=NAME).json()
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        body = text.encode(encoding)
        assert client.post("/api/predict", content=body, headers=JSON).json() == expected
    headers = JSON | {"content-encoding": "gzip"}
    packed = client.post("/api/predict", content=gzip.compress(text.encode()), headers=headers)
    assert error_of(packed, 400) == "the body is compressed (gzip); expected plain JSON"


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("application/x-www-form-urlencoded", "application/x-www-form-urlencoded"),
        ("text/plain", "text/plain"),
        (None, "none"),
    ],
)
def test_a_body_that_is_not_sent_as_json_is_told_so(
    client: TestClient, kind: str | None, found: str
) -> None:
    headers = {} if kind is None else {"content-type": kind}
    response = client.post("/api/predict", content=json.dumps(NAME).encode(), headers=headers)
    message = f"body: its content type is {found}, expected application/json"
    assert message in error_of(response, 422)


def test_a_form_that_says_no_one_thing_is_refused(client: TestClient) -> None:
    two = [("file", ("a.fa", FASTA)), ("file", ("b.fa", FASTA))]
    assert (
        error_of(client.post("/api/jobs/upload", files=two), 400) == "2 fields file; expected one"
    )
    one = {"file": ("a.fa", FASTA)}
    for form, message in (
        ({"iupac ": "n"}, "unknown field iupac ; expected some of file, iupac, rna_type"),
        ({"iupac": ["n", "error"]}, "2 fields iupac; expected one"),
        ({"rna_types": "mRNA"}, "unknown field rna_types"),
    ):
        assert message in error_of(client.post("/api/jobs/upload", files=one, data=form), 400)
    assert client.post("/api/jobs/upload", files=one, data={"iupac": "n"}).status_code == 202


def test_an_error_does_not_repeat_a_long_request(client: TestClient) -> None:
    long = "x" * 100_000
    for request in (
        {"name": long},
        {"name": long, "sequence": "ACGU"},
        {"name": "hsa-mir-21", "compartments": [long]},
    ):
        assert len(error_of(client.post("/api/explain", json=request), 400)) <= MAX_MESSAGE + 1


def test_errors_of_rna_types_and_rows_are_in_the_words_of_the_page(client: TestClient) -> None:
    new = {"sequences": {"a": "ACGU" * 5}, "rna_type": "mRNA"}
    assert error_of(client.post("/api/predict", json=new), 400).startswith("an RNA type is for new")
    job = client.post("/api/jobs", json=NAME).json()["job"]
    while client.get(f"/api/jobs/{job}").json()["status"] != "done":
        pass
    for rows, message in (
        ([0, 0], "2 rows; expected rows from 0 to 0, at most 1 of them"),
        ([10**30], f"row {10**30}; expected rows from 0 to 0, at most 1 of them"),
    ):
        response = client.post(f"/api/jobs/{job}/table", json={"rows": rows})
        assert error_of(response, 400) == message


def test_head_is_get_without_its_content(client: TestClient) -> None:
    for path in ("/", "/api", "/api/model", "/static/page.js"):
        head = client.head(path)
        assert (head.status_code, head.content) == (200, b""), path
        assert head.headers["content-length"] == str(len(client.get(path).content))
    assert client.head("/api/jobs/none").status_code == 404
    assert client.head("/", headers={"host": "evil.example"}).status_code == 403


def test_a_body_whose_rest_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "SECONDS_FOR_PART", 0.05)
    sent: list[Any] = []
    parts = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> Any:
        if parts:
            return parts.pop()
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(*_: Any) -> None:
        raise AssertionError("half a request is answered")

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/predict",
        "headers": [(b"host", b"127.0.0.1"), (b"content-length", b"100")],
    }
    asyncio.run(Guard(app, Hosts.of("127.0.0.1"), 1_000)(scope, receive, send))
    assert sent[0]["status"] == 408
    assert b"did not come within" in sent[1]["body"]


@pytest.mark.parametrize(
    ("host", "shown", "is_own"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.1", "127.1", True),
        ("LOCALHOST", "LOCALHOST", True),
        ("0", "0.0.0.0", False),
        ("0x0", "0.0.0.0", False),
        ("0.0.0.0", "0.0.0.0", False),
    ],
)
def test_a_host_is_judged_by_the_address_that_it_stands_for(
    host: str, shown: str, is_own: bool
) -> None:
    with listen(host, 0) as listener:
        address, port = listener.getsockname()[:2]
        assert address_of(host, listener) == f"http://{shown}:{port}"
        assert is_loopback(listener) is is_own
        hosts = Hosts.of(host, address)
    assert all(hosts.allows(f"{name}:{port}") for name in (host, shown, "localhost", "127.0.0.1"))
    assert hosts.allows("192.168.0.7") is not is_own
    assert not hosts.allows("evil.example")


@pytest.mark.parametrize("host", ["224.0.0.1", "255.255.255.255", "ff02::1"])
def test_a_host_of_many_machines_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match=f"{host}' is no address of this machine"):
        listen(host, 0)
