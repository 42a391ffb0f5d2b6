"""The command `serve`: runs of other kinds, its start, its end, what it says where it cannot."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("fastapi", "fastapi"),
        ("uvicorn", "uvicorn"),
        ("python_multipart", "python-multipart"),
        ("jinja2", "jinja2"),
    ],
)
def test_without_the_extra_it_ends_in_one_sentence(
    run: Callable, monkeypatch: pytest.MonkeyPatch, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    ended = run("serve")
    assert ended.returncode == 2
    assert ended.stderr == (
        "Error: `mirnagraph serve` needs the extra 'web': pip install 'mirnagraph[web]' "
        f"(the package '{package}' is not installed)\n"
    )


def test_a_port_in_use_and_a_wrong_host_end_in_one_sentence(run: Callable) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        ended = run("serve", "--port", port)
    assert ended.returncode == 2
    assert ended.stderr == (
        f"Error: port {port} of 127.0.0.1 is in use; choose another with --port (0: any free one)\n"
    )
    unknown = run("serve", "--host", "no such host", "--port", "0")
    assert unknown.returncode == 2
    assert "expected a name or an address" in unknown.stderr
    foreign = run("serve", "--host", "192.0.2.1", "--port", "0")
    assert foreign.returncode == 2
    assert foreign.stderr == "Error: --host '192.0.2.1' is no address of this machine\n"


def test_a_model_that_is_none_ends_in_one_sentence(run: Callable) -> None:
    Path("empty").mkdir()
    ended = run("serve", "--run", "empty", "--port", "0")
    assert ended.returncode == 3
    assert len(ended.stderr.splitlines()) == 1


def test_a_run_with_its_networks(finished_run: Path, networks, tmp_path: Path, run) -> None:
    from fastapi.testclient import TestClient

    from fusion.serve.app import create_app
    from fusion.serve.guard import Hosts
    from fusion.serve.service import open_service

    folder = networks.save(tmp_path / "networks")
    service = open_service(finished_run, networks=folder)
    assert service.title == f"model of {finished_run.name}"
    client = TestClient(create_app(service, Hosts.of("127.0.0.1")), base_url="http://127.0.0.1")
    facts = client.get("/api/model").json()
    assert str(finished_run.parent) not in client.get("/").text + json.dumps(facts)
    assert any("synthetic" in remark for remark in facts["remarks"])
    name = networks.dataset.index.ids[0]
    assert name in [entry["name"] for entry in client.get(f"/api/names?text={name}").json()]
    words = ["explain", name, "--run", str(finished_run), "--networks", str(folder), "-q"]
    expected = json.loads(run(*words, "--format", "json").stdout)
    answer = client.post("/api/explain", json={"name": name}).json()
    assert answer["explanation"] == expected
    groups = answer["reasons"]["compartments"][0]["partners"]
    assert groups
    partners = [partner["partner"] for group in groups for partner in group["partners"]]
    assert len(partners) == len(set(partners))
    assert set(partners) <= {of["partner"] for of in expected["compartments"][0]["partners"]}


@pytest.mark.slow
def test_a_sequence_tower_answers_sequences_alone(run: Callable) -> None:
    from fastapi.testclient import TestClient

    from fusion.serve.app import create_app
    from fusion.serve.guard import Hosts
    from fusion.serve.service import open_service

    Path("quick.toml").write_text("[training]\nepochs = 1\n")
    words = "--tower cnn --config quick.toml --fold 2 --no-baselines --workers 1 --out tower"
    trained = run("seq", "train", *words.split(), "-q")
    assert trained.returncode == 0, trained.stderr
    client = TestClient(
        create_app(open_service("tower"), Hosts.of("127.0.0.1")), base_url="http://127.0.0.1"
    )
    facts = client.get("/api/model").json()
    assert (facts["answers_names"], facts["explains"], facts["n_reference"]) == (False, False, None)
    assert 'value="names"' not in client.get("/").text
    assert client.get("/api/names?text=mir-21").json() == []
    Path("mine.fa").write_text(">a\nACGUUAGCUAGGAUCCGAUUAGCGAUUCGAGG\n")
    words = ["seq", "predict", "--run", "tower", "--fasta", "mine.fa", "--format", "json", "-q"]
    expected = json.loads(run(*words).stdout)
    answer = client.post("/api/predict", json={"fasta": Path("mine.fa").read_text()}).json()
    assert answer["predictions"] == expected
    names = client.post("/api/predict", json={"names": ["mir-21"]})
    assert names.status_code == 400
    assert "knows no names" in names.json()["error"]
    assert client.post("/api/explain", json={"name": "a"}).status_code == 400


@pytest.mark.slow
def test_it_starts_answers_and_ends_quietly(tmp_path: Path, terminal_signals) -> None:
    command = [sys.executable, "-c", "from cli.main import main; main()", "serve", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        stdout=pipe,
        stderr=pipe,
        text=True,
        cwd=tmp_path,
        env=environment,
        preexec_fn=terminal_signals,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            said = process.stderr.readline()
            assert said == "Serving the model that ships: human miRNAs; Ctrl-C ends\n"
            address = re.fullmatch(r"(http://127\.0\.0\.1:\d+)\n", process.stdout.readline())
            assert address is not None
            body = json.dumps({"names": ["hsa-mir-21"]}).encode()
            headers = {"content-type": "application/json"}
            request = urllib.request.Request(f"{address[1]}/api/predict", body, headers)
            with urllib.request.urlopen(request, timeout=30) as response:
                assert json.load(response)["predictions"][0]["rna_id"] == "hsa-mir-21"
        finally:
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read() + process.stderr.read()
        assert process.wait(timeout=30) == 130
        assert rest == ""
