"""Speed of the TIS Transformer: the stock package next to ours, on the same RNAs, in one thread.

Values are compared first. Ours is masked so that RNAs of a batch do not change each other; the
stock package reads one RNA at a time without padding, as it is right there.

Needs two packages that mirnagraph does not use:

    pip install performer-pytorch==1.1.4 local-attention==1.4.4
    python benchmarks/tis_speed.py

Later versions of local-attention (1.11.2 was tried) rotate the local queries as if they came at the
end of their keys, which gives other values than the weights were trained with; a run with one is
refused by the comparison.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from mirnagraph.parallel import one_thread
from mirnagraph.seeds import generator
from seqtower.encoders.tis import rna_tokens
from seqtower.encoders.tis_weights import load_tis, weights_file

LENGTHS = (300, 1200, 5000, 20000)

LARGEST_DIFFERENCE = 1e-4
"""Of the largest hidden value. Rounding of the stock package: 1e-6 at 300 nt, 7e-5 at 20,000, where
ours differs by 6e-7 from the same network in float64."""


class Stock(nn.Module):
    """Embedding, positions and Performer of performer-pytorch, as in transcript-transformer."""

    def __init__(self) -> None:
        super().__init__()
        from performer_pytorch import Performer
        from performer_pytorch.performer_pytorch import FixedPositionalEmbedding

        self.nuc_emb = nn.Embedding(8, 48)
        self.pos_emb = FixedPositionalEmbedding(48, 30002)
        self.layer_pos_emb = FixedPositionalEmbedding(16, 30002)
        self.transformer = Performer(
            dim=48,
            depth=8,
            heads=8,
            dim_head=16,
            local_attn_heads=5,
            local_window_size=256,
            nb_features=80,
            qkv_bias=True,
            attn_out_bias=True,
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.nuc_emb(tokens)
        x = x + self.pos_emb(x)
        mask = torch.ones_like(tokens, dtype=torch.bool)
        return self.transformer(x, pos_emb=self.layer_pos_emb(x), mask=mask)


def load_stock() -> Stock:
    stock = Stock()
    tensors = load_file(weights_file(""))
    tensors = {name: value for name, value in tensors.items() if not name.startswith("ff_")}
    left = stock.load_state_dict(tensors, strict=False)
    assert not left.unexpected_keys, left.unexpected_keys
    unset = [name for name in left.missing_keys if "emb" not in name and "updater" not in name]
    assert not unset, unset
    return stock.eval()


def random_rna(length: int) -> str:
    rng = generator(0, "tis_speed", length)
    return "".join(rng.choice(list("ACGU"), length))


def seconds(run, repeats: int) -> float:
    """Least CPU seconds of a call."""
    least = np.inf
    for _ in range(repeats):
        start = time.process_time()
        run()
        least = min(least, time.process_time() - start)
    return float(least)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS))
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    with one_thread():
        compare(arguments.lengths, arguments.repeats)


def compare(lengths: list[int], repeats: int) -> None:
    ours = load_tis()
    stock = load_stock()
    print("nucleotides  stock nt/s  ours nt/s  ratio  largest relative difference")
    with torch.inference_mode():
        for length in lengths:
            tokens = torch.from_numpy(rna_tokens(random_rna(length)))[None]
            sizes = torch.tensor([length + 2])
            expected = stock(tokens)
            found = ours(tokens, sizes)
            difference = float((found - expected).abs().max() / expected.abs().max())
            if difference > LARGEST_DIFFERENCE:
                raise SystemExit(
                    f"the values differ by {difference:.1e} of the largest at {length} nt; "
                    "is local-attention 1.4.4 installed?"
                )
            of_stock = seconds(lambda t=tokens: stock(t), repeats)
            of_ours = seconds(lambda t=tokens, s=sizes: ours(t, s), repeats)
            print(
                f"{length:11d}  {length / of_stock:10.0f}  {length / of_ours:9.0f}  "
                f"{of_stock / of_ours:5.1f}  {difference:.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
