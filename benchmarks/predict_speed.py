"""Time and memory of `mirnagraph predict` on a FASTA file, streamed or read whole.

Sequences are synthetic: hairpins of the generator, or random ones of --lengths. Each way runs in a
process of its own:

- stream: the command, chunk by chunk
- whole: all sequences in one call of `mirnagraph.predict`, as before predictions were streamed

usage: python benchmarks/predict_speed.py --run RUN [--sequences 10000] [--lengths 300 3000]
[--workers 2] [--ways stream whole]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mirnagraph.seeds import generator
from mirnagraph.synthetic import hairpin_family

ROOT = Path(__file__).resolve().parent.parent

STREAM = "from cli.main import main; main()"

WHOLE = """
import sys
import mirnagraph
run, fasta, out, workers = sys.argv[1:]
predictions = mirnagraph.predict(run, fasta=fasta, workers=int(workers))
predictions.to_frame().to_csv(out, sep="\\t", index=False, float_format="%.6g")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", required=True, help="finished run of `train` or `seq train`")
    parser.add_argument("--sequences", type=int, default=10_000)
    parser.add_argument("--lengths", type=int, nargs=2, help="random sequences instead of hairpins")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ways", nargs="+", default=["stream", "whole"])
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fasta = Path(folder) / "new.fa"
        n_nucleotides = write_fasta(fasta, args.sequences, args.lengths, args.seed)
        print(f"{args.sequences} sequences, {n_nucleotides:,} nt, {args.workers} threads")
        for way in args.ways:
            out = Path(folder) / f"{way}.tsv"
            print(json.dumps({"way": way, **measured(way, args.run, fasta, out, args.workers)}))


def write_fasta(path: Path, n: int, lengths: list[int] | None, seed: int) -> int:
    rng = generator(seed, "predict speed")
    total = 0
    with path.open("w") as stream:
        for number in range(n):
            if lengths is None:
                sequence = hairpin_family(1, 0.1, rng)[0][0]
            else:
                sequence = "".join(rng.choice(list("ACGU"), size=rng.integers(*lengths)))
            total += len(sequence)
            stream.write(f">new-{number}\n{sequence}\n")
    return total


def measured(way: str, run: str, fasta: Path, out: Path, workers: int) -> dict[str, float | int]:
    if way == "stream":
        words = ["predict", "--run", run, "--fasta", str(fasta), "--out", str(out)]
        command = [sys.executable, "-c", STREAM, *words, "--workers", str(workers)]
    else:
        command = [sys.executable, "-c", WHOLE, run, str(fasta), str(out), str(workers)]
    start = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)})
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{way} ended with status {status}")
    with out.open() as lines:
        n_rows = sum(1 for _ in lines) - 1
    return {
        "seconds": round(time.monotonic() - start, 1),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_gb": round(usage.ru_maxrss / 2**20, 2),
        "rows": n_rows,
    }


if __name__ == "__main__":
    main()
