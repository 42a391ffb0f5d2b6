"""Time and memory of `mirnagraph predict` and `seq predict` on a FASTA file of any size.

Sequences are synthetic: hairpins of the generator, or random ones of --lengths. Each way runs in a
process of its own:

- stream: the command on the file, chunk by chunk
- stdin: the command on its standard input, which cannot be read twice
- whole: all sequences in one call of `mirnagraph.predict`, as before predictions were streamed
- forward: the model alone on the same sequences in memory, one process (with --seq): seconds of
  encoding and descriptors, and of the forward passes of the tower

The rows of `stream` and `stdin` are read as they are written: in the order of the input, or the
benchmark fails. `curve_gb` is the resident memory of the process and its workers after every tenth
of the rows (see `resident_gb`); `peak_gb` is that of the process alone.

usage: python benchmarks/predict_speed.py --run RUN [--sequences 10000] [--lengths 300 3000]
[--workers 2] [--ways stream stdin whole forward] [--seq]
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
from typing import Any

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

FORWARD = """
import json, sys, time
from seqtower import saved
from mirnagraph.sources.fasta import read_fasta
run, fasta = sys.argv[1:]
model = saved.load_tower(run)
texts = read_fasta(fasta)["sequence"].tolist()
predict = saved.predict
passes = 0.0
def timed(*given):
    global passes
    start = time.process_time()
    found = predict(*given)
    passes += time.process_time() - start
    return found
saved.predict = timed
start = time.process_time()
for first in range(0, len(texts), 500):
    model.predict(texts[first : first + 500])
seconds = time.process_time() - start
print(json.dumps({"processor_seconds": round(seconds, 1), "of_passes": round(passes, 1)}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", required=True, help="finished run of `train` or `seq train`")
    parser.add_argument("--sequences", type=int, default=10_000)
    parser.add_argument("--lengths", type=int, nargs=2, help="random sequences instead of hairpins")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ways", nargs="+", default=["stream", "whole"])
    parser.add_argument("--seq", action="store_true", help="`seq predict` by a sequence tower")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fasta = Path(folder) / "new.fa"
        n_nucleotides = write_fasta(fasta, args.sequences, args.lengths, args.seed)
        print(f"{args.sequences} sequences, {n_nucleotides:,} nt, {args.workers} workers")
        for way in args.ways:
            start = time.monotonic()
            if way == "whole":
                command = [sys.executable, "-c", WHOLE, args.run, str(fasta)]
                command += [str(Path(folder) / "whole.tsv"), str(args.workers)]
                result = measured(command)
            elif way == "forward":
                command = [sys.executable, "-c", FORWARD, args.run, str(fasta)]
                process = started(command, stdout=subprocess.PIPE)
                assert process.stdout is not None
                result = json.loads(process.stdout.read())
                ended(process)
            else:
                words = ["seq"] if args.seq else []
                words += ["predict", "--run", args.run, "--fasta"]
                words.append("-" if way == "stdin" else str(fasta))
                words += ["--workers", str(args.workers)]
                stdin = fasta if way == "stdin" else Path(os.devnull)
                result = streamed([sys.executable, "-c", STREAM, *words], stdin, args.sequences)
            seconds = round(time.monotonic() - start, 1)
            print(json.dumps({"way": way, "seconds": seconds, **result}), flush=True)


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


def started(command: list[str], **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, text=True, **options)


def ended(process: subprocess.Popen[str]) -> dict[str, float]:
    """Processor seconds and largest resident memory of a process."""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"ended with status {status}")
    return {
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_gb": round(usage.ru_maxrss / 2**20, 2),
    }


def measured(command: list[str]) -> dict[str, Any]:
    return dict(ended(started(command)))


def streamed(command: list[str], stdin: Path, n_sequences: int) -> dict[str, Any]:
    """Read rows as a command writes them; check their order, and sample its memory."""
    curve = []
    n_rows = 0
    with stdin.open() as stream:
        process = started(command, stdin=stream, stdout=subprocess.PIPE)
        assert process.stdout is not None
        next(process.stdout)
        for n_rows, line in enumerate(process.stdout, 1):
            if not line.startswith(f"new-{n_rows - 1}\t"):
                raise SystemExit(f"row {n_rows} is not of sequence {n_rows}: {line[:40]}")
            if n_rows * 10 // n_sequences > len(curve):
                curve.append(resident_gb(process.pid))
        result = ended(process)
    if n_rows != n_sequences:
        raise SystemExit(f"{n_rows} rows of {n_sequences} sequences")
    return {**result, "curve_gb": curve, "rows": n_rows}


def resident_gb(pid: int) -> float:
    """Resident memory of a running process and its workers (Linux).

    Anonymous pages shared among them count once, pages of files as those of the process that has
    most. (The proportional size of file pages changes with other programs that map the same files.)
    """
    anonymous = 0
    of_files = []
    for number in [pid, *children(pid)]:
        lines = Path(f"/proc/{number}/smaps_rollup").read_text(encoding="utf-8").splitlines()
        fields = (line.split() for line in lines[1:])
        kilobytes = {words[0]: int(words[1]) for words in fields}
        anonymous += kilobytes["Pss_Anon:"]
        of_files.append(kilobytes["Rss:"] - kilobytes["Anonymous:"])
    return round((anonymous + max(of_files)) / 2**20, 3)


def children(pid: int) -> list[int]:
    """All processes that a process has started, and theirs."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for number in map(int, (task / "children").read_text(encoding="utf-8").split()):
            found += [number, *children(number)]
    return found


if __name__ == "__main__":
    main()
