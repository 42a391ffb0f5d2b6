"""Peak memory of `seq train` on synthetic RNAs of 1,000 to 3,000 nt, by step.

One tower (the preset below: a small convolution, one epoch, two folds, whole RNAs) is trained on
5,000, 20,000, … RNAs, each size in a fresh process. Prints, per size, the seconds and the resident
memory of that process while it reads, clusters, trains the folds and fits the final model.

usage: python benchmarks/seq_memory.py [--sizes 5000 20000] [--baselines] [--parquet] [--traced]

With --traced Python's own record of what is allocated is printed too (tracemalloc, three times
slower); with --parquet the sequences are read from Parquet, else from FASTA.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

SETTINGS = """
[tower]
name = "cnn"
[tower.settings]
filters = 4
kernel = 5
window = 8
dropout = 0.0
[lengths]
keep = "full"
[training]
epochs = 1
least_steps = 0
devices = 1
"""

READ = "reading"


def make(folder: Path, n: int, *, parquet: bool) -> None:
    """Write synthetic RNAs and their labels."""
    import pandas as pd

    from seqtower.data.synthetic import planted_sequences

    data = planted_sequences(n, shortest=1000, longest=3000).data
    table = data.binary()
    if parquet:
        columns = {"id": list(data.index.ids), "sequence": list(data.sequences)}
        frame = pd.DataFrame(columns | {name: table[name].to_numpy() for name in table})
        frame.to_parquet(folder / "rnas.parquet", row_group_size=2000)
    else:
        with open(folder / "rnas.fa", "w") as stream:
            for name, sequence in zip(data.index.ids, data.sequences, strict=True):
                stream.write(f">{name}\n{sequence}\n")
        table.to_csv(folder / "labels.tsv", sep="\t", index_label="id")
    (folder / "settings.toml").write_text(SETTINGS)


class Watch:
    """Samples of the resident memory of this process: the most of each step."""

    def __init__(self) -> None:
        self.step = READ
        self.started = {READ: time.perf_counter()}
        self.most: dict[str, float] = {}
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._sample, daemon=True)
        self.thread.start()

    def __call__(self, step: str, _done: int, _total: int) -> None:
        if step != self.step:
            self.step = step
            self.started.setdefault(step, time.perf_counter())

    def _sample(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while not self.is_over.wait(0.02):
            with open("/proc/self/statm") as stream:
                now = int(stream.read().split()[1]) * page / 1e9
            self.most[self.step] = max(self.most.get(self.step, 0.0), now)

    def close(self) -> None:
        self.is_over.set()
        self.thread.join()


def train(folder: Path, *, baselines: bool, traced: bool) -> None:
    """Train in this process; print what was measured as one line of JSON."""
    from seqtower.config import seq_config
    from seqtower.data.load import Source, training_data
    from seqtower.run import run_seq

    if traced:
        tracemalloc.start()
    watch = Watch()
    began = time.perf_counter()
    config = seq_config("rnatracker", folder / "settings.toml", n_folds=2)
    fasta = folder / "rnas.parquet"
    labels = None
    if not fasta.exists():
        fasta = folder / "rnas.fa"
        labels = folder / "labels.tsv"
    read = training_data(Source(fasta, labels, None, "", (), "cluster", "error"))
    run_seq(read[0], config, folder / "run", baselines=baselines, progress=watch)
    watch.close()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    found = {
        "peak": usage.ru_maxrss * 1024 / 1e9,
        "cpu": usage.ru_utime + usage.ru_stime,
        "seconds": time.perf_counter() - began,
        "most": watch.most,
        "began": {step: at - began for step, at in watch.started.items()},
    }
    if traced:
        found["traced"] = tracemalloc.get_traced_memory()[1] / 1e9
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 20_000])
    parser.add_argument("--baselines", action="store_true")
    parser.add_argument("--parquet", action="store_true")
    parser.add_argument("--traced", action="store_true")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run is not None:
        train(given.run, baselines=given.baselines, traced=given.traced)
        return
    peaks = []
    for n in given.sizes:
        with tempfile.TemporaryDirectory() as name:
            make(Path(name), n, parquet=given.parquet)
            options = [f"--{key}" for key in ("baselines", "traced") if getattr(given, key)]
            command = [sys.executable, __file__, "--run", name, *options]
            env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env)
        found = json.loads(done.stdout.splitlines()[-1])
        peaks.append(found["peak"])
        traced = f", traced {found['traced']:.2f} GB" if "traced" in found else ""
        print(
            f"{n:7,} RNAs: peak {found['peak']:.2f} GB{traced}, {found['cpu']:.0f} processor s, "
            f"{found['seconds']:.0f} s"
        )
        for step, at in found["began"].items():
            print(f"    {step:12} from {at:6.1f} s, most {found['most'].get(step, 0):.2f} GB")
        sys.stdout.flush()
    if len(peaks) > 1:
        slope = (peaks[-1] - peaks[0]) / (given.sizes[-1] - given.sizes[0])
        at_100k = peaks[-1] + slope * (100_000 - given.sizes[-1])
        print(f"GB per 10,000 RNAs: {1e4 * slope:.3f}; straight on to 100,000: {at_100k:.2f} GB")


if __name__ == "__main__":
    main()
