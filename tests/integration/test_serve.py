"""The page of `mirnagraph serve`: the same answers as the commands, limits, refusals."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from fastapi.testclient import TestClient

from fusion.serve.app import create_app
from fusion.serve.guard import Hosts
from fusion.serve.limits import Limits
from fusion.serve.service import Service, open_service

NAMES = ["hsa-miR-21-5p", "miR-155", "hsa-let-7", "nonsense", "hsa-mir-6859-1"]

FASTA = """>known mature of miR-21
UAGCUUAUCAGACUGAUGUUGA
>new
UGCAGGUAGCUUAUCAGACUAAUGUUGACGGUUCAAUCUCAUGGCAACUCCAGUCGAUGGGCUGUCUGACA
>with-n
ACGTNNACGGUUAGCUAGGAUCCGAUUAGCGAUUCGAGG
"""

SMALL = Limits(
    max_upload_bytes=20_000,
    max_rnas=30,
    max_rnas_at_once=20,
    max_length=100,
    max_explained_length=80,
    max_name=50,
    max_jobs=2,
    max_waiting=2,
    max_kept=3,
)


@pytest.fixture(scope="module")
def service() -> Service:
    """The model that ships, as the command opens it."""
    return open_service("shipped")


def client_of(service: Service, limits: Limits | None = None, host: str = "127.0.0.1") -> Any:
    if limits is not None:
        service = replace(service, limits=limits)
    return TestClient(create_app(service, Hosts.of(host)), base_url="http://127.0.0.1:8000")


@pytest.fixture(scope="module")
def client(service: Service) -> TestClient:
    """Requests to the page of the model that ships, with its usual limits."""
    return client_of(service)


@pytest.fixture
def small(service: Service) -> TestClient:
    """Requests to a page with small limits."""
    return client_of(service, SMALL)


def finished(client: TestClient, job: dict[str, Any]) -> dict[str, Any]:
    """The last status of a job."""
    for _ in range(600):
        if job["status"] not in ("waiting", "running"):
            return job
        time.sleep(0.05)
        job = client.get(f"/api/jobs/{job['job']}").json()
    raise AssertionError(job)


def error_of(response: Any, status: int) -> str:
    """The sentence of a refused request."""
    assert response.status_code == status, response.text
    assert list(response.json()) == ["error"]
    return str(response.json()["error"])


def test_names_get_the_answers_of_the_command(client: TestClient, run: Callable) -> None:
    ended = run("predict", *NAMES, "--run", "shipped", "--format", "json", "-q")
    assert ended.returncode == 0, ended.stderr
    expected = json.loads(ended.stdout)
    answer = client.post("/api/predict", json={"names": NAMES}).json()
    assert answer["predictions"] == expected
    n_warned = sum(bool(of["warning"]) for of in expected if of["rna_id"])
    assert n_warned
    assert answer["summary"] == (
        f"5 RNAs (2 out-of-fold, 1 final model, 1 sequence alone), {n_warned} with a warning"
    )
    job = finished(client, client.post("/api/jobs", json={"names": NAMES}).json())
    assert (job["status"], job["done"], job["total"], job["n_unanswered"]) == ("done", 5, 5, 1)
    assert client.get(f"/api/jobs/{job['job']}/predictions").json() == answer


def test_sequences_get_the_answers_of_the_command(client: TestClient, run: Callable) -> None:
    Path("mine.fa").write_text(FASTA)
    ended = run("predict", "--fasta", "mine.fa", "--run", "shipped", "--format", "json", "-q")
    expected = json.loads(ended.stdout)
    assert [record["source"] for record in expected] == ["out-of-fold"] + 2 * ["sequence alone"]
    by_text = client.post("/api/predict", json={"fasta": FASTA}).json()
    assert by_text["predictions"] == expected
    lines = FASTA.splitlines()
    sequences = {
        name.split()[0][1:]: letters for name, letters in zip(lines[::2], lines[1::2], strict=True)
    }
    by_json = client.post("/api/predict", json={"sequences": sequences}).json()
    assert by_json == by_text
    for content in (FASTA.encode(), gzip.compress(FASTA.encode())):
        job = client.post("/api/jobs/upload", files={"file": ("../../x.fa", content)})
        assert job.status_code == 202, job.text
        job = finished(client, job.json())
        assert client.get(f"/api/jobs/{job['job']}/predictions").json() == by_text


def test_an_uploaded_table_of_names_is_read_as_by_the_command(
    client: TestClient, run: Callable
) -> None:
    text = "miRNA\tfold change\nhsa-miR-21-5p\t2.5\nmiR-155\t-1\n"
    Path("list.tsv").write_text(text)
    ended = run("predict", "--ids", "list.tsv", "--run", "shipped", "--format", "json", "-q")
    job = client.post("/api/jobs/upload", files={"file": ("list.tsv", text)}).json()
    finished(client, job)
    answer = client.get(f"/api/jobs/{job['job']}/predictions").json()
    assert answer["predictions"] == json.loads(ended.stdout)


@pytest.mark.parametrize("format_", ["tsv", "csv", "json", "jsonl"])
def test_a_table_is_the_file_of_the_command(
    client: TestClient, run: Callable, format_: str
) -> None:
    names = [*NAMES, "=1+1"]
    out = Path(f"table.{format_}")
    ended = run("predict", *names, "--run", "shipped", "--out", str(out), "-q")
    assert ended.returncode == 0, ended.stderr
    job = finished(client, client.post("/api/jobs", json={"names": names}).json())
    address = f"/api/jobs/{job['job']}/table"
    whole = client.get(address, params={"format": format_})
    assert whole.content == out.read_bytes()
    assert whole.headers["content-disposition"] == f'attachment; filename="predictions.{format_}"'
    if format_ == "tsv":
        header, *rows = out.read_text().splitlines()
        some = client.post(address, json={"format": "tsv", "rows": [4, 0]}).text.splitlines()
        assert some == [header, rows[4], rows[0]]
        none = client.post(address, json={"format": "tsv", "rows": []}).text.splitlines()
        assert none == [header]
    for wrong in ([6], [-1], [0] * 7):
        message = error_of(client.post(address, json={"rows": wrong}), 400)
        assert "expected rows from 0 to 5" in message


@pytest.mark.slow
def test_explanations_are_those_of_the_command(client: TestClient, run: Callable) -> None:
    words = ["explain", "hsa-miR-21-5p", "--run", "shipped", "-q", "--compartment", "nucleus"]
    expected = json.loads(run(*words, "--format", "json").stdout)
    text = run(*words).stdout
    body = {"name": "hsa-miR-21-5p", "compartments": ["nucleus"]}
    answer = client.post("/api/explain", json=body).json()
    assert answer["explanation"] == expected
    assert answer["text"] == text
    (reasons,) = answer["reasons"]["compartments"]
    assert reasons["headline"] == text.splitlines()[0]
    (of,) = expected["compartments"]
    effect_of = {effect["words"]: effect for effect in of["effects"]}
    for bar in reasons["effects"]:
        effect = effect_of[bar["words"]]["effect"]
        assert bar["direction"] == ("for" if effect > 0 else "against")
        assert (bar["effect"], bar["text"][0]) == (effect, "+" if effect > 0 else "-")
    assert max(bar["share"] for bar in reasons["effects"]) <= 1
    assert len(reasons["sequence"]["marks"]) == len(reasons["sequence"]["nucleotides"])


def test_a_row_of_a_job_is_explained_by_its_sequence(client: TestClient, run: Callable) -> None:
    Path("mine.fa").write_text("".join(FASTA.splitlines(keepends=True)[2:4]))
    words = ["explain", "--fasta", "mine.fa", "--run", "shipped", "-q", "--format", "json"]
    expected = json.loads(run(*words).stdout)
    job = finished(client, client.post("/api/jobs", json={"fasta": FASTA}).json())
    address = f"/api/jobs/{job['job']}/explain"
    answer = client.post(address, json={"row": 1}).json()
    assert answer["explanation"] == expected
    assert "expected one of 0 to 2" in error_of(client.post(address, json={"row": 3}), 400)
    wrong = client.post(address, json={"row": 1, "compartments": ["Nucleu"]})
    assert error_of(wrong, 400).startswith("unknown compartment 'Nucleu'; available: Cytoplasm")


def test_suggestions(client: TestClient) -> None:
    def names(text: str, **more: Any) -> list[str]:
        found = client.get("/api/names", params={"text": text, **more})
        assert found.status_code == 200
        return [entry["name"] for entry in found.json()]

    assert names("mir-21", n=4) == ["hsa-mir-21", "hsa-miR-21-3p", "hsa-miR-21-5p", "hsa-mir-210"]
    assert names("HSA-MIR-21", n=4) == names("mir-21", n=4)
    assert names("125b")[0] == "hsa-mir-125b"
    assert "hsa-let-7g" in names("hsa-lte-7g")
    assert names("   ") == []
    assert names("<b>") == []
    assert names("x" * 200) == []


def test_every_limit_is_named(small: TestClient) -> None:
    many = {"names": ["mir-21"] * 31}
    assert "31 names; this request takes at most 30" in error_of(
        small.post("/api/jobs", json=many), 413
    )
    fasta = "".join(f">s{number}\nACGU\n" for number in range(31))
    message = error_of(small.post("/api/jobs", json={"fasta": fasta}), 413)
    assert "31 sequences; this request takes at most 30" in message
    several = {f"s{number}": "ACGU" for number in range(31)}
    assert "31 sequences" in error_of(small.post("/api/jobs", json={"sequences": several}), 413)
    at_once = {"names": ["mir-21"] * 21}
    assert "21 RNAs; this request takes at most 20" in error_of(
        small.post("/api/predict", json=at_once), 413
    )
    long = {"sequences": {"long": "A" * 101}}
    message = error_of(small.post("/api/predict", json=long), 413)
    assert message.startswith("long has 101 nucleotides; this page takes at most 100")
    long = {"fasta": f">long\n{'A' * 60}\n{'C' * 41}\n"}
    assert error_of(small.post("/api/predict", json=long), 413) == message
    explained = {"name": "long", "sequence": "A" * 81}
    assert "long has 81 nucleotides; this page takes at most 80" in error_of(
        small.post("/api/explain", json=explained), 413
    )
    name = {"names": ["m" * 51]}
    assert "has 51 characters, expected at most 50" in error_of(
        small.post("/api/predict", json=name), 400
    )
    big = b">a\n" + b"A" * 20_000
    for content in (big, gzip.compress(b">a\n" + b"ACGU" * 10_000)):
        response = small.post("/api/jobs/upload", files={"file": ("x.fa", content)})
        assert "larger than 0.02 MB" in error_of(response, 413)
    text = {"fasta": ">a\n" + "A" * 40_000}
    assert "larger than 0.02 MB" in error_of(small.post("/api/predict", json=text), 413)


def test_a_body_without_a_length_is_limited_too(small: TestClient) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 1_000

    headers = {"content-type": "application/json"}
    response = small.post("/api/predict", content=parts(), headers=headers)
    assert "larger than 0.02 MB" in error_of(response, 413)


def test_a_body_that_is_far_too_large_is_not_waited_for() -> None:
    from fusion.serve.guard import DRAINED, FORM_BYTES, Guard

    sent = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def never() -> Any:
        raise AssertionError("the body is read")

    length = DRAINED * (1_000 + FORM_BYTES) + 1
    headers = [(b"host", b"127.0.0.1"), (b"content-length", str(length).encode())]
    scope = {"type": "http", "method": "POST", "path": "/api/predict", "headers": headers}
    guard = Guard(never, Hosts.of("127.0.0.1"), 1_000)  # type: ignore[arg-type]
    asyncio.run(guard(scope, never, send))
    assert sent[0]["status"] == 413


def test_more_requests_than_may_wait_are_refused(service: Service) -> None:
    import threading

    gate = threading.Event()
    limited = replace(service, limits=SMALL)
    futures = [limited.jobs.run(gate.wait) for _ in range(6)]
    client = client_of(limited)
    message = error_of(client.post("/api/jobs", json={"names": ["mir-21"]}), 429)
    assert message.startswith("6 requests run or wait")
    gate.set()
    for future in futures:
        future.result(timeout=10)
    assert client.post("/api/predict", json={"names": ["mir-21"]}).status_code == 200


def test_only_the_newest_finished_jobs_are_kept(small: TestClient) -> None:
    jobs = []
    for _ in range(5):
        jobs.append(finished(small, small.post("/api/jobs", json={"names": ["mir-21"]}).json()))
    statuses: list[int] = []
    for _ in range(200):  # dropped just after the last one is done
        statuses = [small.get(f"/api/jobs/{job['job']}").status_code for job in jobs]
        if statuses.count(404) == 2:
            break
        time.sleep(0.05)
    assert statuses == [404, 404, 200, 200, 200]


def test_a_job_is_stopped_and_forgotten(client: TestClient) -> None:
    sequences = {f"s{number}": "ACGUUAGCUAGGAUCCGAUU" * 4 for number in range(3_000)}
    job = client.post("/api/jobs", json={"sequences": sequences}).json()
    address = f"/api/jobs/{job['job']}"
    early = client.get(f"{address}/predictions")
    assert early.status_code == 409
    assert early.json()["error"] in ("the job is waiting", "the job is running")
    assert client.delete(address).status_code == 204
    for path in ("", "/predictions", "/table"):
        message = error_of(client.get(address + path), 404)
        assert message == "no such job; it may have been dropped for newer ones"
    assert error_of(client.delete(address), 404)


@pytest.mark.parametrize(
    ("fasta", "message"),
    [
        (">a\nACGX\n", "line 2, column 4: invalid nucleotide in the sequence of a; found X"),
        (">a\nACGR\n", "can be read as N (the box on the page"),
        ("ACGU\n", "line 1, column 1: not a FASTA file; found ACGU"),
        (">a\nACGU\n>a\nACGU\n", "line 3, column 2: duplicate id; found a"),
        (">a\n", "line 1, column 1: empty sequence of a"),
        ("> \nACGU\n", "line 1, column 2: a header without an id"),
        ("", "the file is empty"),
    ],
)
def test_bad_fasta_is_named_by_line_and_column(
    client: TestClient, fasta: str, message: str
) -> None:
    for path, title, request in (
        ("/api/predict", "pasted text", {"json": {"fasta": fasta}}),
        ("/api/jobs/upload", "uploaded file", {"files": {"file": ("/etc/passwd", fasta)}}),
    ):
        if path.endswith("upload") and not fasta.startswith(">"):
            continue  # read as a list of names
        found = error_of(client.post(path, **request), 400)
        assert found.startswith(f"{title}")
        assert message in found
        assert "/tmp" not in found
        assert "passwd" not in found
    lenient = client.post("/api/predict", json={"fasta": ">a\nACGRY\n", "iupac": "n"})
    assert lenient.status_code == 200


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe>\x00a\x00", "uploaded file, line 1"),
        (b"PK\x03\x04 workbook", "uploaded file: not a text file; found a zip archive"),
        (b"\x1f\x8b\x08\x00garbage", "uploaded file: "),
        (gzip.compress(FASTA.encode())[:60], "uploaded file: truncated gzip file"),
        (bz2.compress(FASTA.encode())[:-9], "uploaded file: truncated bzip2 file"),
        (bz2.compress(bytes(2**26)), "the unpacked file is larger than"),
        (b"", "uploaded file: the file is empty"),
    ],
)
def test_a_bad_file_is_named(client: TestClient, content: bytes, message: str) -> None:
    response = client.post("/api/jobs/upload", files={"file": ("x", content)})
    assert response.status_code in (400, 413)
    assert message in response.json()["error"]


def test_a_malformed_request_is_named(client: TestClient) -> None:
    for body, message in (
        ({}, "expected one of names, sequences and fasta, found 0 of them"),
        ({"names": ["a"], "fasta": ">a\nA"}, "found 2 of them"),
        ({"names": []}, "no name; expected at least one"),
        ({"sequences": {}}, "no sequence; expected at least one"),
        ({"sequences": {"a": ""}}, "empty sequence of a"),
        ({"sequences": {"a": "AC GU"}}, "invalid nucleotide in the sequence of a at position 3"),
        ({"names": ["mir-21"], "rna_type": "lncRNA"}, "models of several RNA types"),
    ):
        assert message in error_of(client.post("/api/predict", json=body), 400)
    for body, message in (
        ({"names": "mir-21"}, "names: Input should be a valid list"),
        ({"names": [1]}, "names.0: Input should be a valid string"),
        ({"names": ["mir-21"], "run": "/etc"}, "run: Extra inputs are not permitted"),
        ({"fasta": "x", "iupac": "maybe"}, "iupac: Input should be 'error' or 'n'"),
        (["mir-21"], "body: "),
    ):
        assert message in error_of(client.post("/api/predict", json=body), 422)
    surrogate = b'{"names": ["\\ud800"]}'
    headers = {"content-type": "application/json"}
    response = client.post("/api/predict", content=surrogate, headers=headers)
    assert response.status_code == 422
    deep = client.post("/api/predict", content=b"[" * 100_000, headers=headers)
    assert error_of(deep, deep.status_code)
    assert deep.status_code in (400, 422)
    broken = client.post("/api/predict", content=b"{", headers=headers)
    assert "character 1: JSON decode error: Expecting property name" in error_of(broken, 422)
    unknown = error_of(client.post("/api/explain", json={"name": "nonsense"}), 400)
    assert unknown.startswith("unknown RNA 'nonsense'")
    assert "--fasta" not in unknown


def test_no_address_leaves_the_folder_of_the_page(client: TestClient) -> None:
    assert client.get("/static/page.js").status_code == 200
    for path in (
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2f%2e%2e%2fshipped/model.json",
        "/static//etc/passwd",
        "/static/",
        "/static/page.js%00",
        "/api/jobs/..%2f..%2fetc%2fpasswd",
        "/docs",
        "/redoc",
    ):
        response = client.get(path)
        assert response.status_code in (404, 405), path
        assert list(response.json()) == ["error"]


def test_text_is_never_markup(service: Service) -> None:
    bad = "<script>alert(1)</script>"
    client = client_of(replace(service, title=f"model of {bad}"))
    page = client.get("/").text
    assert bad not in page
    assert "model of &lt;script&gt;" in page
    response = client.post("/api/predict", json={"names": [bad]})
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.json()["predictions"][0]["query"] == bad


def test_the_page_forbids_everything_from_outside(client: TestClient) -> None:
    for response in (
        client.get("/"),
        client.get("/api"),
        client.get("/api/model"),
        client.get("/static/page.css"),
        client.get("/nothing"),
        client.post("/api/predict", json={}),
        client.get("/", headers={"host": "evil.example"}),
    ):
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert response.headers["x-frame-options"] == "DENY"
        assert "access-control-allow-origin" not in response.headers
    page = client.get("/").text
    assert "<noscript>" in page
    assert "<script>" not in page
    assert " style=" not in page
    assert "http" not in page.replace("http-equiv", "")


OWN = "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": OWN}, 200),
        ({"origin": OWN, "sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"host": "localhost:9000", "origin": "http://localhost:9000"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:8001"}, 403),
        ({"origin": f"{OWN}.evil.example"}, 403),
        ({"origin": OWN, "sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"host": "evil.example", "origin": "http://evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "user@127.0.0.1"}, 403),
        ({"host": "127.0.0.1/x"}, 403),
        ({"host": "127.0.0.1:x"}, 403),
        ({"host": "192.168.0.7:8000"}, 403),
        ({"host": ""}, 403),
    ],
)
def test_no_other_site_may_ask(client: TestClient, headers: dict, status: int) -> None:
    response = client.post("/api/predict", json={"names": ["mir-21"]}, headers=headers)
    assert response.status_code == status, response.text
    if status == 403:
        assert error_of(response, 403)
        upload = client.post("/api/jobs/upload", files={"file": ("x", FASTA)}, headers=headers)
        assert upload.status_code == 403


def test_a_link_from_another_site_opens_the_page_alone(client: TestClient) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    assert client.get("/", headers=headers).status_code == 200
    assert client.get("/api/model", headers=headers).status_code == 403


def test_a_server_for_others_answers_addresses_and_its_own_name() -> None:
    import socket

    every = Hosts.of("0.0.0.0")
    for host in ("192.168.0.7:8000", "[fe80::1]:80", socket.gethostname(), "LOCALHOST"):
        assert every.allows(host), host
    assert not every.allows("evil.example")
    assert not Hosts.of("").allows("")
    one = Hosts.of("192.168.0.7")
    assert one.allows("192.168.0.7:80")
    assert not one.allows("192.168.0.8:80")
    assert not Hosts.of("127.0.0.1").allows(f"{socket.gethostname()}.example")


@pytest.mark.slow
def test_parallel_requests_lose_none(client: TestClient) -> None:
    names = ["hsa-miR-21-5p", "hsa-let-7", "nonsense", "hsa-mir-6859-1"]
    serial = [client.post("/api/predict", json={"names": [name]}).json() for name in names]

    def ask(number: int) -> bool:
        response = client.post("/api/predict", json={"names": [names[number % 4]]})
        return response.status_code == 200 and response.json() == serial[number % 4]

    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(ask, range(50)))


def test_the_api_is_described(client: TestClient) -> None:
    described = client.get("/api/openapi.json").json()
    assert described["openapi"].startswith("3.")
    page = client.get("/api").text
    for path, methods in described["paths"].items():
        for method, about in methods.items():
            assert about["description"]
            assert f"<code>{method.upper()} {path}</code>" in page
    facts = client.get("/api/model").json()
    assert facts["n_reference"] == 1041
    assert facts["limits"]["rnas"] == Limits().max_rnas
