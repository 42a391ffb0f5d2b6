"""Learned, label-free embeddings that tokens ask for: node2vec of each network, and graph transformers on top of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import sparse

from fusion.settings import EmbeddingSettings
from fusion.svd import svd_scores
from mirnagraph.config import to_dict
from mirnagraph.embedding.base import embed_networks, load_vectors, save_vectors
from mirnagraph.embedding.graph_encoders import GraphTransformerConfig
from mirnagraph.errors import ConfigError
from mirnagraph.networks.types import Network, NetworkSet
from mirnagraph.progress import Progress, report
from mirnagraph.runs import package_versions
from mirnagraph.seeds import child_seed
from mirnagraph.side_by_side import one_thread, side_by_side

NODE2VEC, GRAPH = "node2vec", "graph_transformer"


def learned_embeddings(
    networks: NetworkSet,
    names: Sequence[str],
    settings: EmbeddingSettings,
    seed: int,
    *,
    cache: str | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """Embeddings of all tokens ``node2vec:N`` and ``graph_transformer:N`` among `names`.

    The graph transformer of a network reads, per node, its node2vec vector and (for RNAs; zeros for partners) the leading
    components of the functional similarity: the paper fuses "the input miRNA functional similarity matrix and association
    matrix" without saying how, and this is what we read into it.

    Returns:
        Token name -> float32, shape (n_nodes, dim), RNAs first.

    Raises:
        ConfigError: a network that does not exist.
    """
    wanted = {kind: [name.partition(":")[2] for name in names if name.startswith(f"{kind}:")] for kind in (NODE2VEC, GRAPH)}
    chosen = list(dict.fromkeys(wanted[NODE2VEC] + wanted[GRAPH]))
    for name in chosen:
        if name not in networks.networks:
            raise ConfigError(f"no network {name!r} to embed; there are {', '.join(networks.networks)}")
    if not chosen:
        return {}
    widths = {name: settings.similarity_dim if networks[name].is_similarity else settings.association_dim for name in chosen}
    configs = {name: replace(settings.node2vec, dim=widths[name]) for name in chosen}
    vectors = embed_networks({name: networks[name] for name in chosen}, configs, seed, workers=workers, cache=cache, progress=progress)
    found = {f"{NODE2VEC}:{name}": vectors[name] for name in wanted[NODE2VEC]}
    work = {name: (networks[name], _node_features(networks, networks[name], vectors[name])) for name in wanted[GRAPH]}
    for name, embedding in _graph_transformers(work, settings.graph_transformer, seed, cache, workers, progress).items():
        found[f"{GRAPH}:{name}"] = embedding
    return found


def _node_features(networks: NetworkSet, network: Network, vectors: np.ndarray) -> np.ndarray:
    functional = networks.similarities.get("functional")
    if functional is None:
        return vectors
    shared = svd_scores(np.asarray(functional, dtype=np.float64), 64)
    wide = np.zeros((len(vectors), shared.shape[1]), dtype=np.float32)
    wide[: len(shared)] = shared
    return np.hstack([vectors, wide])


def _graph_transformers(
    work: dict[str, tuple[Network, np.ndarray]], config: GraphTransformerConfig, seed: int, cache: str | None, workers: int, progress: Progress | None
) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    seeds = {name: child_seed(seed, "graph transformer", name) for name in work}
    files = {name: _cache_file(cache, network, features, config, seeds[name]) for name, (network, features) in work.items()}
    for name, file in files.items():
        kept = load_vectors(file, len(work[name][1]))
        if kept is not None:
            found[name] = kept
    jobs = [(name, work[name][0].adjacency, work[name][1], work[name][0].nodes.kinds, config, seeds[name]) for name in work if name not in found]
    for name, embedding in side_by_side(_fit, None, jobs, workers):
        found[name] = embedding
        save_vectors(files[name], embedding)
        report(progress, "graph transformers", len(found), len(work))
    return {name: found[name] for name in work}


def _fit(_shared: None, job: tuple[str, sparse.csr_array, np.ndarray, Sequence[str], GraphTransformerConfig, int]) -> tuple[str, np.ndarray]:
    """One thread, in this process or another, so that the bits do not depend on where it runs."""
    from mirnagraph.embedding.graph_transformer import fit_graph_transformer

    name, matrix, features, kinds, config, seed = job
    with one_thread():
        return name, fit_graph_transformer(features, matrix, config, seed, kinds=kinds).embedding


def _cache_file(cache: str | None, network: Network, features: np.ndarray, config: GraphTransformerConfig, seed: int) -> Path | None:
    if cache is None:
        return None
    total, matrix = hashlib.sha256(), network.adjacency
    for part in (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data, np.ascontiguousarray(features)):
        total.update(f"{part.shape}\n".encode() + part.tobytes())
    about = {"settings": to_dict(config), "seed": seed, "versions": package_versions(), "kinds": network.nodes.checksum}
    total.update(json.dumps(about, sort_keys=True).encode())
    return Path(cache) / f"graph-{total.hexdigest()}.safetensors"
