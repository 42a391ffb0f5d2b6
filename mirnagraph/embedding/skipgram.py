"""Skip-gram with negative sampling over walks: by gensim, or by our own single-thread trainer in numba.

Both read the walks round by round and never hold them all. `gensim` follows Mikolov 2013 pair by pair; `numba` takes all pairs of one
window together against one draw of negatives (Ji et al. 2016, "Parallelizing word2vec in shared and distributed memory"), which keeps
the vectors it works on in the fastest memory. Both are repeatable bit for bit: one thread, seeded, independent of PYTHONHASHSEED.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from mirnagraph.embedding.walks import _below, _mix, _unit
from mirnagraph.seeds import child_seed, generator

Rounds = Callable[[], Iterator[np.ndarray]]

# Constants of word2vec, the same in gensim.
LOGIT_LIMIT = 6.0
LOWEST_RATE = 1e-4
NOISE_EXPONENT = 0.75


@dataclass(frozen=True)
class SkipGram:
    """Settings of the trainer, checked by Node2VecConfig.

    Attributes:
        dim: length of a vector.
        window: largest distance of a pair along the walk; each position draws its own in [1, window].
        epochs: passes over the walks.
        negative: noise nodes per window (numba) or pair (gensim), drawn by visits to the power 0.75.
        learning_rate: at the start; falls linearly to 0.0001.
        subsample: share of all visits above which a node is passed over by chance (word2vec's threshold t: a node with share f is
            kept with chance sqrt(t/f) + t/f); 0 keeps every visit.
    """

    dim: int
    window: int
    epochs: int
    negative: int
    learning_rate: float
    subsample: float = 0.0


def count_visits(rounds: Rounds, n_nodes: int) -> np.ndarray:
    """How often each node stands in the walks, int64, shape (n_nodes,)."""
    visits = np.zeros(n_nodes, np.int64)
    for walks in rounds():
        visits += np.bincount(walks[walks >= 0], minlength=n_nodes)
    return visits


def train_gensim(rounds: Rounds, visits: np.ndarray, n_walks: int, settings: SkipGram, seed: int) -> np.ndarray:
    """Vectors by gensim's Word2Vec with one worker, since several make it unrepeatable.

    Args:
        rounds: called once per epoch; yields int32 arrays of shape (n, walk_length), -1 after the end of a walk.
        visits: shape (n_nodes,), see `count_visits`.
        n_walks: number of walks in one epoch.
        settings: see `SkipGram`.
        seed: of initial vectors, windows and noise.

    Returns:
        float32, shape (n_nodes, dim); rows of nodes that no walk visits are zero.
    """
    from gensim.models import Word2Vec

    class Corpus:
        def __iter__(self) -> Iterator[list[int]]:
            for walks in rounds():
                ended = walks[:, -1] < 0
                for walk, short in zip(walks.tolist(), ended.tolist(), strict=True):
                    yield walk[: walk.index(-1)] if short else walk

    model = Word2Vec(
        vector_size=settings.dim,
        alpha=settings.learning_rate,
        min_alpha=LOWEST_RATE,
        window=settings.window,
        negative=settings.negative,
        ns_exponent=NOISE_EXPONENT,
        sg=1,
        sample=settings.subsample,
        min_count=1,
        workers=1,
        seed=child_seed(seed, "skip-gram") % 2**32,
        sorted_vocab=0,
    )
    model.build_vocab_from_freq({node: int(n) for node, n in enumerate(visits) if n > 0}, corpus_count=n_walks)
    model.train(Corpus(), total_examples=n_walks, epochs=settings.epochs)
    vectors = np.zeros((len(visits), settings.dim), np.float32)
    vectors[np.array(model.wv.index_to_key)] = model.wv.vectors
    return vectors


def train_numba(rounds: Rounds, visits: np.ndarray, settings: SkipGram, seed: int) -> np.ndarray:
    """Vectors by our own trainer; arguments and result as `train_gensim`."""
    n_nodes, total = len(visits), int(visits.sum()) * settings.epochs
    vectors = (generator(seed, "vectors").random((n_nodes, settings.dim), dtype=np.float32) * 2 - 1) / np.float32(settings.dim)
    outputs = np.zeros((n_nodes, settings.dim), np.float32)
    noise = np.searchsorted(np.cumsum(visits**NOISE_EXPONENT) / (visits**NOISE_EXPONENT).sum(), (np.arange(NOISE_SLOTS) + 0.5) / NOISE_SLOTS)
    noise = np.minimum(noise, n_nodes - 1).astype(np.int32)
    keep = np.ones(n_nodes)
    if settings.subsample > 0:
        share = np.maximum(visits / max(visits.sum(), 1), 1e-300)
        keep = np.minimum(1.0, np.sqrt(settings.subsample / share) + settings.subsample / share)
    state, done = np.array([child_seed(seed, "skip-gram")], np.uint64), 0
    for _ in range(settings.epochs):
        for walks in rounds():
            rates = (settings.learning_rate, LOWEST_RATE, done / total, 1.0 / total)
            done += _train_walks(walks, vectors, outputs, noise, keep, SIGMOID, settings.window, settings.negative, rates, state)
    vectors[visits == 0] = 0
    return vectors


NOISE_SLOTS = 2**18
SIGMOID_SLOTS = 4096
SIGMOID = (1 / (1 + np.exp(-((np.arange(SIGMOID_SLOTS) + 0.5) / SIGMOID_SLOTS * 2 - 1) * LOGIT_LIMIT))).astype(np.float32)


# Targets are worked on six at a time, held in arrays of their own: the centre and the five noise nodes of the usual setting.
GROUP = 6
FAST = {"reassoc", "contract", "nsz"}


@njit(cache=True, nogil=True)
def _slot(logit: Any, limit: Any, scale: Any) -> Any:
    """Where the sigmoid of a logit in (-limit, limit) stands; a logit just below the limit rounds up to one slot too many."""
    return min(int((logit + limit) * scale), SIGMOID_SLOTS - 1)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _logits(vector: Any, t0: Any, t1: Any, t2: Any, t3: Any, t4: Any, t5: Any, out: Any) -> Any:
    """Products of one vector with six targets in one pass."""
    zero = np.float32(0)
    s0, s1, s2, s3, s4, s5 = zero, zero, zero, zero, zero, zero
    for d in range(vector.shape[0]):
        x = vector[d]
        s0 += x * t0[d]
        s1 += x * t1[d]
        s2 += x * t2[d]
        s3 += x * t3[d]
        s4 += x * t4[d]
        s5 += x * t5[d]
    out[0], out[1], out[2], out[3], out[4], out[5] = s0, s1, s2, s3, s4, s5


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _pull(change: Any, t0: Any, t1: Any, t2: Any, t3: Any, t4: Any, t5: Any, g: Any) -> Any:
    """The step of the vector: the sum of the targets, each by its `g`, which is the rate times its error."""
    g0, g1, g2, g3, g4, g5 = g[0], g[1], g[2], g[3], g[4], g[5]
    for d in range(change.shape[0]):
        change[d] = g0 * t0[d] + g1 * t1[d] + g2 * t2[d] + g3 * t3[d] + g4 * t4[d] + g5 * t5[d]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _push(vector: Any, t0: Any, t1: Any, t2: Any, g0: Any, g1: Any, g2: Any) -> Any:
    """The step of three targets; more in one loop would not be vectorised, since the compiler must check each pair for overlap."""
    for d in range(vector.shape[0]):
        x = vector[d]
        t0[d] += g0 * x
        t1[d] += g1 * x
        t2[d] += g2 * x


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _add(vector: Any, change: Any) -> Any:
    for d in range(vector.shape[0]):
        vector[d] += change[d]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _train_walks(walks: Any, vectors: Any, outputs: Any, noise: Any, keep: Any, sigmoid: Any, window: Any, negative: Any, rates: Any, state: Any) -> Any:
    """Train on the walks in order; returns the number of positions read and leaves the generator's state in `state`."""
    dim = vectors.shape[1]
    highest, lowest, progress, per_position = rates
    step = np.uint64(0x9E3779B97F4A7C15)
    now = state[0]
    t0, t1, t2 = np.zeros(dim, np.float32), np.zeros(dim, np.float32), np.zeros(dim, np.float32)
    t3, t4, t5 = np.zeros(dim, np.float32), np.zeros(dim, np.float32), np.zeros(dim, np.float32)
    held = (t0, t1, t2, t3, t4, t5)
    g, change = np.empty(GROUP, np.float32), np.empty(dim, np.float32)
    ids = np.empty(negative + 1, np.int64)
    scale, limit = np.float32(len(sigmoid) / (2 * LOGIT_LIMIT)), np.float32(LOGIT_LIMIT)
    walk = np.empty(walks.shape[1], np.int64)
    done = 0
    for row in range(walks.shape[0]):
        rate = np.float32(highest - (highest - lowest) * (progress + done * per_position))
        length = 0
        for position in range(walks.shape[1]):
            node = np.int64(walks[row, position])
            if node < 0:
                break
            done += 1
            if keep[node] < 1.0:
                now += step
                if _unit(_mix(now)) >= keep[node]:
                    continue
            walk[length] = node
            length += 1
        for i in range(length):
            now += step
            reach = 1 + _below(_mix(now), window)
            centre = walk[i]
            ids[0] = centre
            n_targets = 1
            for _ in range(negative):
                now += step
                node = np.int64(noise[_below(_mix(now), len(noise))])
                # A node drawn twice would be two copies of which the later overwrites the earlier.
                known = False
                for t in range(n_targets):
                    known = known or ids[t] == node
                if not known:
                    ids[n_targets] = node
                    n_targets += 1
            for begin in range(0, n_targets, GROUP):
                size = min(GROUP, n_targets - begin)
                for t in range(size):
                    _copy(outputs[ids[begin + t]], held[t])
                for j in range(max(0, i - reach), min(length, i + reach + 1)):
                    if j == i:
                        continue
                    vector = vectors[walk[j]]
                    _logits(vector, t0, t1, t2, t3, t4, t5, g)
                    for t in range(GROUP):
                        logit = g[t]
                        if t < size and -limit < logit < limit:
                            label = np.float32(1) if begin + t == 0 else np.float32(0)
                            g[t] = (label - sigmoid[_slot(logit, limit, scale)]) * rate
                        else:
                            g[t] = np.float32(0)
                    _pull(change, t0, t1, t2, t3, t4, t5, g)
                    _push(vector, t0, t1, t2, g[0], g[1], g[2])
                    _push(vector, t3, t4, t5, g[3], g[4], g[5])
                    _add(vector, change)
                for t in range(size):
                    _copy(held[t], outputs[ids[begin + t]])
    state[0] = now
    return done


@njit(cache=True, nogil=True)
def _copy(source: Any, target: Any) -> Any:
    for d in range(source.shape[0]):
        target[d] = source[d]
