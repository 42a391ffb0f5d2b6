"""Read a FASTA file of 2 GB record by record, and print the most memory that this took.

    python benchmarks/large_fasta.py                  # 2,000 MB
    python benchmarks/large_fasta.py --megabytes 60   # as the slow tests do

The file is made in a temporary folder and removed. It is read twice, as `predict` and
`seq predict` do: counted, then streamed. Ends with code 1 where memory grew with the file.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mirnagraph.sources.fasta import count_fasta, stream_fasta

N_NUCLEOTIDES = 20_000
"""Length of a record; every hundredth is a hundred times as long."""


def write_fasta(path: Path, n_bytes: int) -> int:
    """Write random records until the file has `n_bytes`: their number."""
    rng = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGU", dtype=np.uint8)
    n_records = 0
    with open(path, "wb") as stream:
        while stream.tell() < n_bytes:
            length = N_NUCLEOTIDES * (100 if n_records % 100 == 99 else 1)
            text = letters[rng.integers(0, 4, length, dtype=np.int8)].tobytes()
            stream.write(b">rna_%d\n%s\n" % (n_records, text))
            n_records += 1
    return n_records


def peak() -> float:
    """Most memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=2000, help="size of the file")
    parser.add_argument("--most", type=int, default=120, help="MB that reading may take")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.fa"
        n_records = write_fasta(path, given.megabytes * 10**6)
        before = peak()
        begin = time.monotonic()
        n_counted = count_fasta(path)
        n_read = 0
        n_letters = 0
        for record in stream_fasta(path):
            n_read += 1
            n_letters += len(record.sequence)
        seconds = time.monotonic() - begin
        n_megabytes = path.stat().st_size / 10**6
    grown = peak() - before
    print(
        f"{n_megabytes:.0f} MB, {n_read} records, {n_letters} nt: +{grown:.0f} MB, {seconds:.0f} s"
    )
    is_whole = n_records == n_counted == n_read
    sys.exit(0 if is_whole and grown <= given.most else 1)


if __name__ == "__main__":
    main()
