"""Recall, alignments and time of the k-mer index beside all pairs of alignments.

`python benchmarks/kmer_index.py HAIRPINS.fa.gz --prefix hsa- --candidates 100 200 400 800`; without
`--prefix` all sequences. The exact network is made too (for comparison of times) with `--exact`.
"""

from __future__ import annotations

import argparse
import resource
import time

from mirnagraph.similarity.best import Keep
from mirnagraph.similarity.candidates import KmerIndex, indexed_neighbours
from mirnagraph.similarity.nearest import nearest_sequences
from mirnagraph.sources.fasta import read_fasta


def main() -> None:
    """Run all settings and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fasta")
    parser.add_argument("--prefix", default="", help="of the ids that are read")
    parser.add_argument("--k", type=int, nargs="+", default=[5])
    parser.add_argument("--candidates", type=int, nargs="+", default=[400])
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--top-k", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--exact", action="store_true")
    given = parser.parse_args()
    records = read_fasta(given.fasta, iupac="n")
    texts = records["sequence"][records["id"].str.startswith(given.prefix)].tolist()
    print(f"sequences {len(texts):,}, different {len(set(texts)):,}")
    nearest_sequences(texts[:10], 2)  # numba compiles
    if given.exact:
        start = time.perf_counter()
        nearest_sequences(texts, given.top_k, workers=given.workers)
        print(f"all pairs: {time.perf_counter() - start:.1f} s", flush=True)
    print("k, candidates: found of the 10 nearest, of those above 0.35, pairs aligned, s, GB")
    for k in given.k:
        for n in given.candidates:
            index = KmerIndex(k=k, candidates=n, sample=given.sample)
            start = time.perf_counter()
            _, recall = indexed_neighbours(texts, Keep(given.top_k), index, workers=given.workers)
            seconds = time.perf_counter() - start
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            aligned = recall.n_aligned / recall.n_pairs
            print(
                f"{k}, {n}: {recall.share:.2%}, {recall.share_related:.2%}, {aligned:.1%}, "
                f"{seconds:.0f} s, {memory:.2f} GB",
                flush=True,
            )


if __name__ == "__main__":
    main()
