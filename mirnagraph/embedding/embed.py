"""Several networks at once, cached; registry EMBEDDERS."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from scipy import sparse

from mirnagraph.config import require, to_dict
from mirnagraph.embedding.graph_encoders import GraphTransformerConfig
from mirnagraph.errors import ConfigError
from mirnagraph.io import write_file
from mirnagraph.networks.network import Network
from mirnagraph.parallel import Progress, map_parallel, one_thread, report
from mirnagraph.registry import Registry
from mirnagraph.runs.folder import package_versions
from mirnagraph.seeds import child_seed

# A settings dataclass of an entry of EMBEDDERS.
EmbeddingConfig: TypeAlias = Any

# Raised when an embedding comes out differently for the same input, so that older files are not taken for it.
CACHE_FORMAT = 1

EMBEDDERS: Registry[Embedder] = Registry(
    "network embedder",
    "mirnagraph.embedders",
    {
        "node2vec": "mirnagraph.embedding.node2vec:Node2VecEmbedder",
        "proximity": "mirnagraph.embedding.factorization:ProximityEmbedder",
    },
)

GraphJob = tuple[str, sparse.csr_array, np.ndarray, Sequence[str], GraphTransformerConfig, int]


class Embedder(Protocol):
    """An entry of `EMBEDDERS`, such as a class with these two names.

    Attributes:
        Config: frozen dataclass of its settings; a field ``dim`` is the number of columns.
    """

    Config: type

    @staticmethod
    def embed(adjacency: sparse.csr_array, config: EmbeddingConfig, seed: int) -> np.ndarray:
        """Embed each node of a network.

        Args:
            adjacency: shape (n_nodes, n_nodes), weights of 0 or more.
            config: of the type `Config`.
            seed: of all random steps.

        Returns:
            float32, shape (n_nodes, columns), finite, in row order; zeros for isolated nodes.
        """
        ...


def embedder_of(config: EmbeddingConfig) -> Embedder:
    """The entry of `EMBEDDERS` that a settings object belongs to.

    Raises:
        ConfigError: no embedder has settings of this type.
    """
    for name in EMBEDDERS.names():
        embedder = EMBEDDERS[name]
        if type(config) is embedder.Config:
            return embedder
    known = ", ".join(EMBEDDERS.names())
    raise ConfigError(f"no network embedder has settings {type(config).__name__}; known: {known}")


def embed_networks(
    networks: Mapping[str, Any],
    configs: Mapping[str, EmbeddingConfig],
    seed: int,
    *,
    workers: int = 1,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """Embed each network on its own, some side by side.

    Args:
        networks: name -> Network (its `adjacency` is read) or square scipy sparse matrix.
        configs: settings of each name that is to be embedded; other networks are left alone.
        seed: each network gets a child seed by its name, so adding or leaving out one changes no other.
        workers: processes; each uses one thread. The result does not depend on it.
        cache: folder in which vectors are kept as safetensors under a hash of matrix, settings, seed and versions; None keeps nothing.
            A file there that is damaged is made anew.
        progress: called as ``progress("embeddings", done, total)`` as networks are finished.

    Returns:
        name -> float32, shape (n_nodes, columns), in the order of `configs`; rows in the order of the network's nodes.

    Raises:
        ConfigError: settings for a network that does not exist, or of no embedder's type.
        InputError: of the embedder, e.g. `node2vec` and `proximity_embedding`.
    """
    require(workers >= 1, "workers", workers, "1 or more")
    missing = [name for name in configs if name not in networks]
    if missing:
        raise ConfigError(
            f"settings for a network that does not exist: {missing[0]!r}; known: {', '.join(networks) or 'none'}"
        )
    matrices = {name: _matrix(networks[name]) for name in configs}
    seeds = {name: child_seed(seed, "embedding", name) for name in configs}
    embedders = {name: embedder_of(config) for name, config in configs.items()}
    files = {
        name: _cache_file(cache, matrices[name], configs[name], seeds[name]) for name in configs
    }
    found = {
        name: vectors
        for name in configs
        if (vectors := load_vectors(files[name], matrices[name].shape[0])) is not None
    }
    report(progress, "embeddings", len(found), len(configs))
    # The longest first, so that the last to start is short.
    waiting = sorted(
        (name for name in configs if name not in found), key=lambda name: -matrices[name].shape[0]
    )
    jobs = [(n, matrices[n], configs[n], seeds[n], embedders[n]) for n in waiting]
    for name, vectors in map_parallel(_embed, None, jobs, workers):
        found[name] = vectors
        save_vectors(files[name], vectors)
        report(progress, "embeddings", len(found), len(configs))
    return {name: found[name] for name in configs}


Job: TypeAlias = tuple[str, sparse.csr_array, EmbeddingConfig, int, Embedder]


def _embed(_shared: None, job: Job) -> tuple[str, np.ndarray]:
    """In this process or another; one thread, since sums in another order would differ in the last bits."""
    from threadpoolctl import threadpool_limits

    name, matrix, config, seed, embedder = job
    with threadpool_limits(limits=1):
        return name, embedder.embed(matrix, config, seed)


def _matrix(network: Any) -> sparse.csr_array:
    return sparse.csr_array(getattr(network, "adjacency", network))


def _cache_file(
    folder: str | Path | None, matrix: sparse.csr_array, config: EmbeddingConfig, seed: int
) -> Path | None:
    if folder is None:
        return None
    total = hashlib.sha256()
    for part in (
        matrix.indptr.astype(np.int64),
        matrix.indices.astype(np.int64),
        matrix.data.astype(np.float64),
    ):
        total.update(f"{part.size}\n".encode() + part.tobytes())
    packages = {
        name: _version(name)
        for name in ("mirnagraph", "numpy", "scipy", "numba", "gensim", "node2vec")
    }
    about = {
        "format": CACHE_FORMAT,
        "kind": type(config).__name__,
        "settings": to_dict(config),
        "seed": seed,
        "versions": packages,
    }
    total.update(json.dumps(about, sort_keys=True).encode())
    return Path(folder) / f"{total.hexdigest()}.safetensors"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def load_vectors(file: Path | None, n_nodes: int) -> np.ndarray | None:
    """Vectors kept in a file, or None where there is no file or it does not fit; a damaged file is made anew."""
    if file is None or not file.is_file():
        return None
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        vectors: np.ndarray = load_file(file)["vectors"]
    except (SafetensorError, KeyError, OSError):
        return None
    return vectors if vectors.ndim == 2 and len(vectors) == n_nodes else None


def save_vectors(file: Path | None, vectors: np.ndarray) -> None:
    """Keep vectors in a file, all or nothing; None keeps nothing."""
    if file is None:
        return
    from safetensors.numpy import save_file

    with write_file(file) as part:
        save_file({"vectors": np.ascontiguousarray(vectors)}, part)


def _graph_transformers(
    work: dict[str, tuple[Network, np.ndarray]],
    config: GraphTransformerConfig,
    seed: int,
    cache: str | None,
    workers: int,
    progress: Progress | None,
) -> dict[str, np.ndarray]:
    """Embeddings of a graph encoder for each network, trained alone."""
    found: dict[str, np.ndarray] = {}
    seeds = {name: child_seed(seed, "graph transformer", name) for name in work}
    files: dict[str, Path | None] = {}
    jobs: list[GraphJob] = []
    for name, (network, features) in work.items():
        files[name] = _graph_cache_file(cache, [network], [features], config, seeds[name])
        cached = load_vectors(files[name], len(features))
        if cached is not None:
            found[name] = cached
            continue
        kinds = network.nodes.kinds
        jobs.append((name, network.adjacency, features, kinds, config, seeds[name]))
    for name, embedding in map_parallel(_fit, None, jobs, workers):
        found[name] = embedding
        save_vectors(files[name], embedding)
        report(progress, "graph transformers", len(found), len(work))
    return {name: found[name] for name in work}


def _fit(_shared: None, job: GraphJob) -> tuple[str, np.ndarray]:
    """One thread, in this process or another, so that the bits do not depend on where it runs."""
    from mirnagraph.embedding.graph_transformer import fit_graph_transformer

    name, matrix, features, kinds, config, seed = job
    with one_thread():
        fitted = fit_graph_transformer(features, matrix, config, seed, kinds=kinds)
    return name, fitted.embedding


def _graph_cache_file(
    cache: str | None,
    networks: Sequence[Network],
    features: Sequence[np.ndarray],
    config: GraphTransformerConfig,
    seed: int,
) -> Path | None:
    if cache is None:
        return None
    total = hashlib.sha256()
    parts: list[np.ndarray] = []
    for network in networks:
        matrix = network.adjacency
        parts += [matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data]
    for values in features:
        parts.append(np.ascontiguousarray(values))
    for part in parts:
        total.update(f"{part.shape}\n".encode() + part.tobytes())
    about = {
        "settings": to_dict(config),
        "seed": seed,
        "versions": package_versions(),
        "kinds": [network.nodes.checksum for network in networks],
        "names": [network.name for network in networks],
    }
    total.update(json.dumps(about, sort_keys=True).encode())
    return Path(cache) / f"graph-{total.hexdigest()}.safetensors"
