"""TIS Transformer (Clauwaert et al. 2023): a pretrained transformer of whole transcripts."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint as recomputed

from mirnagraph.config import require
from mirnagraph.seeds import generator

DIM = 48
"""Width of the hidden state."""

DEPTH = 8
HEADS = 8
HEAD_DIM = 16
N_GLOBAL = 3
"""Heads over the whole RNA; the others read three blocks."""

N_FEATURES = 80
"""Random features of a global head."""

BLOCK = 256
"""Positions of a block of the local heads."""

FEATURE_FLOOR = 1e-4
"""Added to every random feature, so that no sum of them is 0."""

START = 5
END = 6
N_TOKENS = 8

LARGEST_LOGIT = 16.0
"""Start scores beyond it differ by rounding alone."""

CODES = {"A": 0, "U": 1, "T": 1, "C": 2, "G": 3}
UNKNOWN = 4

TRAINED = ("none", "last", "adapters", "all")
"""Which parameters `trainable` leaves to be trained."""

RANK = 4
"""Rank of an adapter."""

ADAPTED = ("to_q", "to_k", "to_v", "to_out", "w1", "w2")
"""Linear maps of a layer that get an adapter."""

N_LAST = 2


class TisTransformer(nn.Module):
    """Hidden states of the letters of an RNA, and where its translation starts.

    Eight pre-norm layers of attention and feed-forward network, without a final norm. Three heads
    attend over the whole RNA by random features of the softmax kernel (FAVOR+, Choromanski et al.
    2021, doi:10.48550/arXiv.2009.14794), five attend within blocks of 256 positions and their two
    neighbours. Sizes are those of the published weights (`seqtower.encoders.tis_weights`).

    Source: Clauwaert et al. 2023, NAR Genomics and Bioinformatics, doi:10.1093/nargab/lqad021.

    Attributes:
        checkpoint: keep the input of each layer alone and compute the layer again in the backward
            pass: a third more time, and less than half of the memory for 20,000 nucleotides.
    """

    def __init__(self, *, checkpoint: bool = False) -> None:
        super().__init__()
        self.checkpoint = checkpoint
        self.nuc_emb = nn.Embedding(N_TOKENS, DIM)
        self.layers = nn.ModuleList(TisLayer() for _ in range(DEPTH))
        self.ff_1 = nn.Linear(DIM, 2 * DIM)
        self.ff_2 = nn.Linear(2 * DIM, 2)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Compute hidden states.

        Args:
            tokens: start, letters, end, then anything: int64, shape (n, width).
            lengths: tokens of each RNA, int64, shape (n,).

        Returns:
            Hidden states, float32, shape (n, width, DIM); no value of an RNA depends on padding or
            on other RNAs of the batch. Padding holds arbitrary numbers.
        """
        return self.hidden(self.nuc_emb(tokens), lengths)

    def hidden(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Compute hidden states from embedded tokens, so that gradients reach the letters.

        Args:
            embedded: rows of `nuc_emb` or mixtures of them, without positions: float32, shape
                (n, width, DIM).
            lengths: tokens of each RNA, int64, shape (n,).

        Returns:
            As `forward`.
        """
        width = embedded.shape[1]
        padded = -(-width // BLOCK) * BLOCK
        hidden = functional.pad(embedded, (0, 0, 0, padded - width))
        hidden = hidden + sinusoid(padded, DIM, embedded.device)
        is_token = torch.arange(padded, device=embedded.device) < lengths[:, None]
        places = Places(is_token)
        is_recomputed = self.checkpoint and torch.is_grad_enabled()
        for layer in self.layers:
            if is_recomputed:
                hidden = recomputed(layer, hidden, places, use_reentrant=False)
            else:
                hidden = layer(hidden, places)
        return hidden[:, :width]

    def start_scores(self, hidden: Tensor) -> Tensor:
        """Probability that translation starts at a position: (..., DIM) -> (...)."""
        return self.start_logits(hidden).sigmoid()

    def start_logits(self, hidden: Tensor) -> Tensor:
        """Logit of the probability that translation starts at a position: (..., DIM) -> (...)."""
        logits = self.ff_2(torch.relu(self.ff_1(hidden)))
        return logits[..., 1] - logits[..., 0]


class Places:
    """What every layer reads of the positions of a batch.

    Attributes:
        is_token: False at padding, shape (n, width).
        block_mask: which keys of a block and its neighbours are tokens, shape (n * blocks, 1, 1,
            3 * BLOCK).
        global_turns: cosines and sines by which the global heads rotate queries and keys.
        local_query: those of the queries of a block.
        local_key: those of the keys of a block and its neighbours.
    """

    def __init__(self, is_token: Tensor) -> None:
        n, width = is_token.shape
        self.is_token = is_token
        around = functional.pad(is_token, (BLOCK, BLOCK), value=False)
        keys = around.unfold(1, 3 * BLOCK, BLOCK)
        self.block_mask = keys.reshape(n * (width // BLOCK), 1, 1, 3 * BLOCK)
        self.global_turns = rotation(width, is_token.device)
        local = rotation(3 * BLOCK, is_token.device)
        self.local_query = (local[0][BLOCK : 2 * BLOCK], local[1][BLOCK : 2 * BLOCK])
        self.local_key = local


class TisLayer(nn.Module):
    """A pre-norm layer: attention of global and local heads, then a feed-forward network."""

    def __init__(self) -> None:
        super().__init__()
        inner = HEADS * HEAD_DIM
        self.norm_1 = nn.LayerNorm(DIM)
        self.to_q = nn.Linear(DIM, inner)
        self.to_k = nn.Linear(DIM, inner)
        self.to_v = nn.Linear(DIM, inner)
        self.to_out = nn.Linear(inner, DIM)
        self.norm_2 = nn.LayerNorm(DIM)
        self.w1 = nn.Linear(DIM, 4 * DIM)
        self.w2 = nn.Linear(4 * DIM, DIM)
        self.register_buffer("projection_matrix", torch.zeros(N_FEATURES, HEAD_DIM))

    def forward(self, hidden: Tensor, places: Places) -> Tensor:
        """Compute the layer: (n, width, DIM) -> (n, width, DIM)."""
        n, width, _ = hidden.shape
        normed = self.norm_1(hidden)
        heads = (n, width, HEADS, HEAD_DIM)
        q = self.to_q(normed).view(heads)
        k = self.to_k(normed).view(heads)
        v = self.to_v(normed).view(heads)
        far = self._global(q[:, :, :N_GLOBAL], k[:, :, :N_GLOBAL], v[:, :, :N_GLOBAL], places)
        near = self._local(q[:, :, N_GLOBAL:], k[:, :, N_GLOBAL:], v[:, :, N_GLOBAL:], places)
        joined = torch.cat([far, near], dim=2).reshape(n, width, HEADS * HEAD_DIM)
        hidden = hidden + self.to_out(joined)
        return hidden + self.w2(functional.gelu(self.w1(self.norm_2(hidden))))

    def _global(self, q: Tensor, k: Tensor, v: Tensor, places: Places) -> Tensor:
        """Attention over the whole RNA: (n, width, heads, HEAD_DIM), as its inputs."""
        cos, sin = places.global_turns
        q = turn_pairs(q, cos, sin).transpose(1, 2)
        k = turn_pairs(k, cos, sin).transpose(1, 2)
        is_token = places.is_token[:, None, :, None]
        q_score, q_size = self._exponents(q)
        q_most = q_score.amax(dim=-1, keepdim=True)
        q_features = torch.exp(q_score - (q_size + q_most)) + FEATURE_FLOOR
        k_score, k_size = self._exponents(k)
        k_most = k_score.masked_fill(~is_token, float("-inf")).amax(dim=(-1, -2), keepdim=True)
        k_features = (torch.exp(k_score - (k_size + k_most)) + FEATURE_FLOOR) * is_token
        # a last column of ones, whose sum is the denominator
        columns = functional.pad(v.transpose(1, 2), (0, 1), value=1.0)
        sums = q_features @ (k_features.transpose(-1, -2) @ columns)
        return (sums[..., :-1] / sums[..., -1:]).transpose(1, 2)

    def _exponents(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Projections of the random features, and the norm that is subtracted from them."""
        scores = values @ (self.get_buffer("projection_matrix").T / math.sqrt(math.sqrt(HEAD_DIM)))
        return scores, values.square().sum(dim=-1, keepdim=True) / (2 * math.sqrt(HEAD_DIM))

    def _local(self, q: Tensor, k: Tensor, v: Tensor, places: Places) -> Tensor:
        """Attention over a block and its neighbours: (n, width, heads, HEAD_DIM), as its inputs."""
        n, width, n_heads, _ = q.shape
        blocks = width // BLOCK
        q = q.reshape(n * blocks, BLOCK, n_heads, HEAD_DIM).transpose(1, 2)
        k = _with_neighbours(k)
        v = _with_neighbours(v)
        q = turn_halves(q, *places.local_query)
        k = turn_halves(k, *places.local_key)
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=places.block_mask)
        return attended.transpose(1, 2).reshape(n, width, n_heads, HEAD_DIM)


class Adapted(nn.Linear):
    """A linear map with a trained low-rank addition (LoRA, Hu et al. 2021, arXiv:2106.09685).

    The addition is 0 at the start. Weight and bias are those of the map that it replaces, under
    their names, so that a file of weights is read as before.

    Attributes:
        down: shape (RANK, in_features), drawn.
        up: shape (out_features, RANK), 0 at the start.
    """

    def __init__(self, linear: nn.Linear, rng: np.random.Generator) -> None:
        super().__init__(linear.in_features, linear.out_features, device="meta")
        self.weight = linear.weight
        self.bias = linear.bias
        drawn = rng.normal(0, linear.in_features**-0.5, (RANK, linear.in_features))
        like = linear.weight
        self.down = nn.Parameter(torch.from_numpy(drawn).to(like.device, like.dtype))
        self.up = nn.Parameter(like.new_zeros((linear.out_features, RANK)))

    def forward(self, input: Tensor) -> Tensor:
        """Compute the map and its addition: (..., in_features) -> (..., out_features)."""
        return super().forward(input) + (input @ self.down.T) @ self.up.T


def trainable(network: TisTransformer, how: str, *, seed: int = 0) -> list[nn.Parameter]:
    """Set which parameters of a network are trained; its values stay as they are.

    Args:
        network: changed in place. Adapters that it has are kept, and frozen unless trained.
        how: ``"none"``; ``"last"`` for the last two layers; ``"adapters"`` for low-rank additions
            to every linear map of every layer; ``"all"`` for every parameter. The projections of
            the random features are fixed always.
        seed: of the adapters' first values.

    Returns:
        The parameters that are trained. A saved network with adapters is read into one that
        ``"adapters"`` was called on.

    Raises:
        ConfigError: another `how`.
    """
    require(how in TRAINED, "trainable", how, f"one of {', '.join(TRAINED)}")
    network.requires_grad_(how == "all")
    if how == "last":
        network.layers[-N_LAST:].requires_grad_(True)
    if how == "adapters":
        for number, layer in enumerate(network.layers):
            for name in ADAPTED:
                linear = layer.get_submodule(name)
                if not isinstance(linear, Adapted):
                    adapted = Adapted(
                        cast(nn.Linear, linear), generator(seed, "adapters", number, name)
                    )
                    setattr(layer, name, adapted)
                else:
                    adapted = linear
                adapted.down.requires_grad_(True)
                adapted.up.requires_grad_(True)
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def _with_neighbours(values: Tensor) -> Tensor:
    """(n, width, heads, d) -> (n * blocks, heads, 3 * BLOCK, d)."""
    n, width, n_heads, d = values.shape
    around = functional.pad(values, (0, 0, 0, 0, BLOCK, BLOCK))
    keys = around.unfold(1, 3 * BLOCK, BLOCK)  # (n, blocks, heads, d, 3 * BLOCK)
    return keys.transpose(-1, -2).reshape(n * (width // BLOCK), n_heads, 3 * BLOCK, d)


def sinusoid(width: int, dim: int, device: torch.device | None = None) -> Tensor:
    """Sines, then cosines, of positions: shape (width, dim)."""
    angles = _angles(width, dim, device)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def rotation(width: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angles of each position: shape (width, HEAD_DIM / 2) each."""
    angles = _angles(width, HEAD_DIM, device)
    return angles.cos(), angles.sin()


def frequencies(dim: int, device: torch.device | None = None) -> Tensor:
    """Radians per position of the sines of `dim` values: shape (dim / 2,)."""
    return 1.0 / 10000 ** (torch.arange(0, dim, 2, device=device).float() / dim)


def _angles(width: int, dim: int, device: torch.device | None) -> Tensor:
    return torch.arange(width, device=device).float()[:, None] * frequencies(dim, device)


def turn_pairs(values: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate neighbouring pairs (2i, 2i + 1) of (n, width, heads, d) by angles (width, d / 2)."""
    even, odd = values[..., 0::2], values[..., 1::2]
    cos, sin = cos[:, None], sin[:, None]
    return torch.stack([even * cos - odd * sin, odd * cos + even * sin], dim=-1).flatten(-2)


def turn_halves(values: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate pairs (i, i + d / 2) of (n, heads, width, d) by angles (width, d / 2)."""
    first, second = values.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
