"""Embedding tokens: node2vec of each network, graph encoders on one network or on all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fusion.config import EmbeddingSettings
from fusion.tokens.names import ALL, GRAPH_TRANSFORMER, JOINT_GRAPH, NODE2VEC, tokens_of_kind
from mirnagraph.embedding.embed import (
    embed_networks,
    graph_cache_file,
    graph_embeddings,
    load_vectors,
    save_vectors,
)
from mirnagraph.embedding.factorization import svd_scores
from mirnagraph.embedding.graph_encoders import GraphTransformerConfig
from mirnagraph.errors import ConfigError
from mirnagraph.networks.network import NetworkSet
from mirnagraph.networks.similarities import both_ways
from mirnagraph.parallel import Progress, one_thread
from mirnagraph.seeds import child_seed

N_SIMILARITY = 64


def learned_embeddings(
    networks: NetworkSet,
    names: Sequence[str],
    settings: EmbeddingSettings,
    seed: int,
    *,
    cache: str | Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """Embeddings of all tokens ``node2vec:N`` and ``graph_transformer:N`` among `names`.

    ``graph_transformer:N`` is a graph encoder trained on the network N alone, whichever encoder the
    settings name. ``graph_transformer:all`` is one encoder trained on all networks together, as a
    `HeteroData`; only encoders that read one can make it (``transformer``, ``hgt``).

    A graph encoder reads, per node, its node2vec vector and (for RNAs; zeros for partners) the
    leading components of the functional similarity: the paper fuses "the input miRNA functional
    similarity matrix and association matrix" without saying how, and this is our reading of it.
    For ``all``, RNAs have the node2vec vectors of all networks side by side.

    Returns:
        Token name -> float32, shape (n_nodes, dim), RNAs first; for ``graph_transformer:all`` the
        RNAs, then the partners of each association network in turn.

    Raises:
        ConfigError: a network that does not exist, or ``all`` with an encoder of one network.
    """
    node2vec_names = [name.target for name in tokens_of_kind(names, NODE2VEC)]
    graph_names = [name.target for name in tokens_of_kind(names, GRAPH_TRANSFORMER)]
    graph_names = [name for name in graph_names if name != ALL]
    is_joint = JOINT_GRAPH in names
    if is_joint:
        _check_joint(settings.graph_transformer)
    every = list(networks.networks) if is_joint else []
    read = list(dict.fromkeys([*node2vec_names, *graph_names, *every]))
    for name in read:
        if name not in networks.networks:
            available = ", ".join(networks.networks)
            raise ConfigError(f"no network {name!r} to embed; available: {available}")
    if not read:
        return {}
    configs = {}
    for name in read:
        is_similarity = networks[name].is_similarity
        width = settings.similarity_dim if is_similarity else settings.association_dim
        configs[name] = settings.network_config(width)
    vectors = embed_networks(
        networks.networks, configs, seed, workers=workers, cache=cache, progress=progress
    )
    embeddings = {f"{NODE2VEC}:{name}": vectors[name] for name in node2vec_names}
    config = settings.graph_transformer
    work = {name: (networks[name], _node_features(networks, vectors[name])) for name in graph_names}
    made = graph_embeddings(work, config, seed, cache, workers, progress)
    embeddings |= {f"{GRAPH_TRANSFORMER}:{name}": embedding for name, embedding in made.items()}
    if is_joint:
        embeddings[JOINT_GRAPH] = _joint_graph(networks, vectors, config, seed, cache, progress)
    return embeddings


def _check_joint(config: GraphTransformerConfig) -> None:
    from mirnagraph.embedding.graph_layers import NETWORK, scope_of

    if scope_of(config.encoder) == NETWORK:
        raise ConfigError(
            f"token {JOINT_GRAPH!r} needs a graph encoder that reads all networks together: set "
            f"embedding.graph_transformer.encoder to 'transformer' or 'hgt', not {config.encoder!r}"
        )


def _node_features(networks: NetworkSet, vectors: np.ndarray) -> np.ndarray:
    """Vectors of nodes, RNAs first, and components of the functional similarity."""
    functional = networks.similarities.get("functional")
    if functional is None:
        return vectors
    if not isinstance(functional, np.ndarray):
        functional = both_ways(functional)
    shared = svd_scores(functional.astype(np.float64), N_SIMILARITY)
    wide = np.zeros((len(vectors), shared.shape[1]), dtype=np.float32)
    wide[: len(shared)] = shared
    return np.hstack([vectors, wide])


def _joint_graph(
    networks: NetworkSet,
    vectors: Mapping[str, np.ndarray],
    config: GraphTransformerConfig,
    seed: int,
    cache: str | Path | None,
    progress: Progress | None,
) -> np.ndarray:
    """Embedding of a graph encoder trained on all networks together."""
    from mirnagraph.embedding.graph_transformer import fit_hetero
    from mirnagraph.networks.export import to_pyg

    n_rnas = len(networks.dataset.index)
    of_rnas = np.hstack([values[:n_rnas] for values in vectors.values()])
    features = {"miRNA": _node_features(networks, of_rnas)}
    for name, network in networks.networks.items():
        if not network.is_similarity:
            features[name] = vectors[name][n_rnas:]
    joint_seed = child_seed(seed, "graph transformer", ALL)
    graphs = list(networks.networks.values())
    file = graph_cache_file(cache, graphs, list(features.values()), config, joint_seed)
    cached = load_vectors(file, sum(len(values) for values in features.values()))
    if cached is not None:
        return cached
    import torch

    data = to_pyg(networks)
    for name, values in features.items():
        data[name].x = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    with one_thread():
        fitted = fit_hetero(data, config, joint_seed, progress=progress)
    embedding = np.concatenate([fitted.embeddings[name] for name in features])
    save_vectors(file, embedding)
    return embedding
