"""Time and peak memory of `build-networks` by numbers of RNAs and associations, with the dense way.

`python benchmarks/build_networks_scale.py --rnas 1000 4000 10000 --edges 100000 1000000`; each case
runs in its own process. `--dense` up to how many RNAs the dense way runs too; `--compare` checks
that both give the same edges.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mirnagraph.dataset import Dataset
from mirnagraph.networks.build import NetworkConfig, build_networks
from mirnagraph.networks.export import write_edges_tsv
from mirnagraph.seeds import generator
from mirnagraph.synthetic import make_dataset

N_PARTNERS = {"mRNA": 6000, "drug": 1000, "disease": 800}

SHARES = {"mRNA": 0.7, "drug": 0.1, "disease": 0.2}
"""Share of each kind of the associations, about that of the public tables."""

N_COMMUNITIES = 40

PURITY = 0.8
"""Share of the associations that are with partners of the RNA's community."""


def dataset_of(n_rnas: int, n_edges: int) -> Dataset:
    """Synthetic dataset of a given number of associations, most within communities."""
    partners = tuple(N_PARTNERS.values())
    base = make_dataset(n_rnas, n_partners=partners, n_communities=N_COMMUNITIES)
    associations = {}
    for kind, n_partners in N_PARTNERS.items():
        rng = generator(0, "scale", kind)
        n = round(n_edges * SHARES[kind] * 3)  # many are drawn twice
        community = rng.integers(0, N_COMMUNITIES, n_rnas)
        popularity = rng.lognormal(0.0, 1.0, n_rnas)
        rows = rng.choice(n_rnas, n, p=popularity / popularity.sum())
        within = community[rows] + N_COMMUNITIES * rng.integers(0, n_partners // N_COMMUNITIES, n)
        columns = np.where(rng.random(n) < PURITY, within, rng.integers(0, n_partners, n))
        pairs = np.unique(np.stack([rows, columns], axis=1), axis=0)
        chosen = rng.permutation(len(pairs))[: round(n_edges * SHARES[kind])]
        rows, columns = pairs[np.sort(chosen)].T
        ids = {
            "rna_id": base.rnas.index[rows],
            "partner_id": base.partners[kind].index[columns],
        }
        associations[kind] = pd.DataFrame(ids, dtype=object)
    return replace(base, associations=associations)


def one_case(n_rnas: int, n_edges: int, is_dense: bool, workers: int, folder: Path) -> None:
    """Build and export one case; print its figures as JSON."""
    dataset = dataset_of(n_rnas, n_edges)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    config = NetworkConfig(dense_below=n_rnas if is_dense else 0)
    start = time.perf_counter()
    networks = build_networks(dataset, config, workers=workers)
    built = time.perf_counter()
    networks.save(folder / "networks")
    for name, network in networks.networks.items():
        write_edges_tsv(network, folder / f"{name}.tsv")
    saved = time.perf_counter()
    edges = {name: network.matrix.nnz for name, network in networks.networks.items()}
    figures = {
        "associations": sum(map(len, dataset.associations.values())),
        "build": round(built - start, 1),
        "save": round(saved - built, 1),
        "before": before / 2**20,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "worker": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20,
        "sequence": edges["sequence"] // 2,
        "functional": edges["functional"] // 2,
        "folder": sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 2**20,
    }
    print(json.dumps(figures))


def same_edges(first: Path, second: Path) -> bool:
    """Whether two networks folders hold the same edges."""
    files = sorted(path.name for path in (first / "networks").glob("edges.*.parquet"))
    return all(
        pd.read_parquet(first / "networks" / name).equals(
            pd.read_parquet(second / "networks" / name)
        )
        for name in files
    )


def main() -> None:
    """Run all cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rnas", type=int, nargs="+", default=[1000, 4000, 10000])
    parser.add_argument("--edges", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--dense", type=int, default=4000, help="RNAs up to which it runs too")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--compare", action="store_true", help="compare the edges of both ways")
    parser.add_argument("--case", nargs=4, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case is not None:
        n_rnas, n_edges, is_dense = map(int, given.case[:3])
        one_case(n_rnas, n_edges, bool(is_dense), given.workers, Path(given.case[3]))
        return
    print("RNAs associations way | build s, save s | GB, before, of a worker | edges | folder MB")
    for n_rnas in given.rnas:
        for n_edges in given.edges:
            with tempfile.TemporaryDirectory() as place:
                ways = [False, True] if n_rnas <= given.dense else [False]
                folders = [Path(place) / f"dense{int(is_dense)}" for is_dense in ways]
                for is_dense, folder in zip(ways, folders, strict=True):
                    folder.mkdir()
                    case = [str(n_rnas), str(n_edges), str(int(is_dense)), str(folder)]
                    words = [sys.executable, __file__, "--workers", str(given.workers)]
                    done = subprocess.run(
                        [*words, "--case", *case], check=True, capture_output=True, text=True
                    )
                    f = json.loads(done.stdout)
                    way = "dense " if is_dense else "blocks"
                    print(
                        f"{n_rnas:6,} {f['associations']:9,} {way} | {f['build']:6} {f['save']:6} |"
                        f" {f['memory']:5.2f} {f['before']:5.2f} {f['worker']:5.2f} |"
                        f" {f['sequence']:9,} {f['functional']:9,} | {f['folder']:6.1f}",
                        flush=True,
                    )
                if given.compare and len(folders) == 2:
                    print(f"  same edges: {same_edges(*folders)}", flush=True)


if __name__ == "__main__":
    main()
