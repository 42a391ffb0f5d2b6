"""Time and memory of `mirnagraph serve`: 20 names, 50 requests at once, 1,000 in turn.

The server runs in a process of its own. Prints JSON lines:

- names: seconds from the start of the process to the address, and to the answer of 20 names
- parallel: 50 requests of 20 names at once: answers equal to the one before, seconds
- memory: resident memory of the server after every hundredth of 1,000 requests (names, sequences,
  jobs with their table, every tenth an explanation)

usage: python benchmarks/serve_load.py [--run shipped] [--requests 1000]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mirnagraph.seeds import generator

ROOT = Path(__file__).resolve().parent.parent

COMMAND = "from cli.main import main; main()"

NAMES = [
    "hsa-miR-21-3p", "mir-155", "hsa-mir-375", "let-7", "hsa-mir-200", "hsa-mir-4516", "hsa-mir-1",
    "hsa-mir-7-1", "miR-16", "MIMAT0000440", "MIR125B1", "hsa-mir-6859-1", "hsa-mir-34a", "miR-92",
    "hsa-let-7b", "hsa-mir-122a", "hsa-miR-10b*", "hsa-mir-1302-2", "mmu-mir-21", "no such RNA",
]  # fmt: skip
"""Twenty names as people type them: known, new, of another species, unknown."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", default="shipped", help="as of `mirnagraph serve`")
    parser.add_argument("--requests", type=int, default=1_000)
    args = parser.parse_args()
    command = [sys.executable, "-c", COMMAND, "serve", "--run", args.run, "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            address = address_of(server)
            started = time.monotonic()
            answer = ask(address, "/api/predict", {"names": NAMES})
            answered = time.monotonic()
            summary = {
                "what": "names",
                "seconds_to_address": round(started - start, 1),
                "seconds_to_answer": round(answered - started, 2),
                "summary": answer["summary"],
            }
            print(json.dumps(summary), flush=True)
            print(json.dumps(parallel(address, answer)), flush=True)
            memory(address, server.pid, args.requests)
        finally:
            server.send_signal(signal.SIGINT)


def address_of(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    address = server.stdout.readline().strip()
    if not address:
        raise SystemExit("the server did not start")
    return address


def ask(address: str, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as response:
        content = response.read()
        return json.loads(content) if "json" in response.headers["content-type"] else content


def parallel(address: str, expected: Any, n: int = 50) -> dict[str, Any]:
    start = time.monotonic()
    with ThreadPoolExecutor(n) as pool:
        found = list(pool.map(lambda _: ask(address, "/api/predict", {"names": NAMES}), range(n)))
    seconds = time.monotonic() - start
    n_equal = sum(answer == expected for answer in found)
    return {"what": "parallel", "requests": n, "equal": n_equal, "seconds": round(seconds, 1)}


def memory(address: str, pid: int, n: int) -> None:
    rng = generator(0, "serve load")
    start = time.monotonic()
    for number in range(n):
        if number % (n // 10) == 0:
            print_memory(pid, number, start)
        if number % 10 == 0:
            ask(address, "/api/explain", {"name": NAMES[number // 10 % 17]})
        elif number % 10 == 1:
            run_job(address, {f"s{i}": "".join(rng.choice(list("ACGU"), 80)) for i in range(50)})
        elif number % 2:
            sequence = "".join(rng.choice(list("ACGU"), 80))
            ask(address, "/api/predict", {"sequences": {f"new-{number}": sequence}})
        else:
            ask(address, "/api/predict", {"names": NAMES})
    print_memory(pid, n, start)


def run_job(address: str, sequences: dict[str, str]) -> None:
    job = ask(address, "/api/jobs", {"sequences": sequences})
    while job["status"] in ("waiting", "running"):
        time.sleep(0.02)
        job = ask(address, f"/api/jobs/{job['job']}")
    ask(address, f"/api/jobs/{job['job']}/table")


def print_memory(pid: int, n_done: int, start: float) -> None:
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = int(re.search(r"VmRSS:\s+(\d+)", status)[1])
    seconds = round(time.monotonic() - start, 1)
    values = {"what": "memory", "requests": n_done, "mb": kilobytes // 1024, "seconds": seconds}
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main()
