"""Embeddings of several networks at once, with a cache; registry of embedders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from scipy import sparse

from mirnagraph.config import require, to_dict
from mirnagraph.embedding.graph_encoders import GraphTransformerConfig
from mirnagraph.errors import ConfigError
from mirnagraph.io import write_file
from mirnagraph.networks.network import Network
from mirnagraph.parallel import Progress, job_folder, map_parallel, one_thread, report
from mirnagraph.reading.documents import read_json
from mirnagraph.registry import Registry
from mirnagraph.runs.folder import package_versions
from mirnagraph.seeds import child_seed
from mirnagraph.writing.locks import adopt

# A settings dataclass of an entry of EMBEDDERS.
EmbeddingConfig: TypeAlias = Any

# Increased when an embedding changes for the same input, so that older files are not read.
CACHE_FORMAT = 2

EMBEDDERS: Registry[Embedder] = Registry(
    "network embedder",
    "mirnagraph.embedders",
    {
        "node2vec": "mirnagraph.embedding.node2vec:Node2VecEmbedder",
        "proximity": "mirnagraph.embedding.factorization:ProximityEmbedder",
    },
)


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
    """Find the entry of `EMBEDDERS` for a settings object.

    Raises:
        ConfigError: no embedder has settings of this type.
    """
    for name in EMBEDDERS.names():
        embedder = EMBEDDERS[name]
        if type(config) is embedder.Config:
            return embedder
    known = ", ".join(EMBEDDERS.names())
    raise ConfigError(f"no network embedder has settings {type(config).__name__}; known: {known}")


@dataclass(frozen=True, eq=False)
class EmbeddingTask:
    """One embedding to compute or to read from the cache.

    Attributes:
        file: see `cache_file`; None without a cache.
        n_nodes: number of rows.
        function: returns the embedding; of a module's top level.
        arguments: of `function`.
    """

    file: Path | None
    n_nodes: int
    function: Callable[..., np.ndarray]
    arguments: tuple[Any, ...]


def embed_networks(
    networks: Mapping[str, Any],
    configs: Mapping[str, EmbeddingConfig],
    seed: int,
    *,
    workers: int = 1,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """Embed each network separately, several at a time.

    Args:
        networks: name -> Network (its `adjacency` is read), square scipy sparse matrix, or, for
            node2vec, the folder of a stored network
            (`mirnagraph.walks.graph.store_walk_graph`), which is mapped into memory.
        configs: settings of each network to embed.
        seed: each network gets a child seed by its name, so that adding one changes no other.
        workers: processes; each uses one thread. The result does not depend on it.
        cache: folder of finished embeddings (safetensors under a hash of matrix, settings, seed and
            versions); None for no cache. A damaged file is computed again.
        progress: called as ``progress("embeddings", done, total)`` as networks are finished.

    Returns:
        name -> float32, shape (n_nodes, columns), in the order of `configs`; rows in the order of
        the network's nodes.

    Raises:
        ConfigError: settings for an unknown network, of no embedder's type, or of one that reads no
            stored network.
        InputError: of the embedder, e.g. `node2vec` and `proximity_embedding`.
    """
    require(workers >= 1, "workers", workers, "1 or more")
    missing = [name for name in configs if name not in networks]
    if missing:
        known = ", ".join(networks) or "none"
        raise ConfigError(f"settings for an unknown network {missing[0]!r}; known: {known}")
    tasks = {}
    for name, config in configs.items():
        network = networks[name]
        network_seed = child_seed(seed, "embedding", name)
        about: dict[str, Any] = {"embedder": type(config).__name__, "settings": to_dict(config)}
        about["seed"] = network_seed
        if isinstance(network, str | Path):
            tasks[name] = _stored_task(name, network, config, about, cache)
            continue
        matrix = sparse.csr_array(getattr(network, "adjacency", network))
        file = cache_file(cache, _arrays(matrix), about)
        arguments = (matrix, config, network_seed)
        embed = embedder_of(config).embed
        tasks[name] = EmbeddingTask(file, matrix.shape[0], embed, arguments)
    return compute_embeddings(tasks, "embeddings", workers, progress)


def _stored_task(
    name: str,
    folder: str | Path,
    config: EmbeddingConfig,
    about: Mapping[str, Any],
    cache: str | Path | None,
) -> EmbeddingTask:
    """The embedding of a stored network, which the process that embeds it opens."""
    from mirnagraph.walks.graph import CONTENTS, open_walk_graph

    embedder = embedder_of(config)
    if not getattr(embedder, "reads_stored", False):
        raise ConfigError(
            f"network {name!r} is a stored one, which settings {type(config).__name__} cannot "
            "read; give its matrix, or settings of node2vec"
        )
    n_nodes = open_walk_graph(folder).n_nodes
    # the checksums of its arrays, which were compared just now
    stored = read_json(Path(folder) / CONTENTS)["arrays"]
    file = cache_file(cache, [], {**about, "stored": stored})
    place = job_folder(folder, is_written=False)
    return EmbeddingTask(file, n_nodes, embedder.embed, (place, config, about["seed"]))


def graph_embeddings(
    inputs: Mapping[str, tuple[Network, np.ndarray]],
    config: GraphTransformerConfig,
    seed: int,
    cache: str | Path | None,
    workers: int,
    progress: Progress | None,
) -> dict[str, np.ndarray]:
    """Embed each network by a graph encoder trained on it alone.

    Args:
        inputs: name -> network and node features, shape (n_nodes, d).
        config: settings of the encoder.
        seed: each network gets a child seed by its name.
        cache: see `embed_networks`.
        workers: see `embed_networks`.
        progress: called as ``progress("graph transformers", done, total)``.

    Returns:
        As `embed_networks`.
    """
    tasks = {}
    for name, (network, features) in inputs.items():
        network_seed = child_seed(seed, "graph transformer", name)
        file = graph_cache_file(cache, [network], [features], config, network_seed)
        arguments = (features, network.adjacency, network.nodes.kinds, config, network_seed)
        tasks[name] = EmbeddingTask(file, len(features), _fit_graph, arguments)
    return compute_embeddings(tasks, "graph transformers", workers, progress)


def compute_embeddings(
    tasks: Mapping[str, EmbeddingTask], step: str, workers: int, progress: Progress | None
) -> dict[str, np.ndarray]:
    """Read finished embeddings from the cache, and compute the others in parallel.

    Args:
        tasks: by name.
        step: name for `progress`.
        workers: processes; each uses one thread.
        progress: called as ``progress(step, done, total)``.
    """
    vectors = {}
    for name, task in tasks.items():
        cached = load_vectors(task.file, task.n_nodes)
        if cached is not None:
            vectors[name] = cached
    report(progress, step, len(vectors), len(tasks))
    # The largest first, so that the last to start is short.
    waiting = [(name, task) for name, task in tasks.items() if name not in vectors]
    waiting.sort(key=lambda item: -item[1].n_nodes)
    for name, embedding in map_parallel(_compute, None, waiting, workers):
        vectors[name] = embedding
        save_vectors(tasks[name].file, embedding)
        report(progress, step, len(vectors), len(tasks))
    return {name: vectors[name] for name in tasks}


def _compute(_shared: None, job: tuple[str, EmbeddingTask]) -> tuple[str, np.ndarray]:
    """In one thread: sums in another order would differ in the last bits."""
    from threadpoolctl import threadpool_limits

    name, task = job
    with threadpool_limits(limits=1):
        return name, task.function(*task.arguments)


def _fit_graph(
    features: np.ndarray,
    adjacency: sparse.csr_array,
    kinds: Sequence[str],
    config: GraphTransformerConfig,
    seed: int,
) -> np.ndarray:
    from mirnagraph.embedding.graph_transformer import fit_graph_transformer

    with one_thread():
        return fit_graph_transformer(features, adjacency, config, seed, kinds=kinds).embedding


def cache_file(
    folder: str | Path | None, arrays: Iterable[np.ndarray], about: Mapping[str, Any]
) -> Path | None:
    """Path of an embedding in the cache: a hash of its inputs and of package versions.

    Args:
        folder: of the cache; None for no cache.
        arrays: that the embedding depends on.
        about: all else that it depends on, as JSON values.
    """
    if folder is None:
        return None
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.shape}\n".encode() + np.ascontiguousarray(array).tobytes())
    key = {**about, "format": CACHE_FORMAT, "versions": package_versions()}
    total.update(json.dumps(key, sort_keys=True).encode())
    return Path(folder) / f"{total.hexdigest()}.safetensors"


def graph_cache_file(
    cache: str | Path | None,
    networks: Sequence[Network],
    features: Sequence[np.ndarray],
    config: GraphTransformerConfig,
    seed: int,
) -> Path | None:
    """Path in the cache of a graph encoder's embedding of one network, or of several together."""
    arrays = list(features)
    for network in networks:
        arrays += _arrays(network.adjacency)
    about = {
        "settings": to_dict(config),
        "seed": seed,
        "nodes": [network.nodes.checksum for network in networks],
        "networks": [network.name for network in networks],
    }
    return cache_file(cache, arrays, about)


def _arrays(matrix: sparse.csr_array) -> list[np.ndarray]:
    indptr = matrix.indptr.astype(np.int64)
    return [indptr, matrix.indices.astype(np.int64), matrix.data.astype(np.float64)]


def load_vectors(file: Path | None, n_nodes: int) -> np.ndarray | None:
    """Read vectors from the cache; None where the file is missing, damaged or does not fit."""
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
    """Write vectors to the cache atomically; do nothing where `file` is None."""
    if file is None:
        return
    from safetensors.numpy import save_file

    adopt(file)
    with write_file(file) as part:
        save_file({"vectors": np.ascontiguousarray(vectors)}, part)
