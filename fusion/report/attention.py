"""Attention of a run's final model by source and head, relative to even attention."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fusion.explain.occlusion import WORDS, source_of, source_of_kind
from fusion.explain.towers import VARIES
from fusion.export.load import load
from fusion.models.attention import TokenFusion
from fusion.models.predict import reference_of
from fusion.models.saved import SavedModel
from fusion.models.towers import PRESENCE
from fusion.models.towers_training import TrainedFusion
from fusion.models.training import TrainedAttention, as_tensors
from fusion.report.blocks import POINTS, Block, Chart, Section, Text, chart_data, make_table
from fusion.report.run_data import ReportRun
from fusion.tokens.kinds import modality_of
from fusion.tokens.names import (
    BY_SIMILARITY,
    JOIN,
    KERNEL_FEATURES,
    KMER,
    LETTERS,
    TREES,
    TokenName,
    parse_joined,
)
from fusion.tokens.table import TokenTable
from mirnagraph.errors import CheckpointError
from mirnagraph.runs.model_file import HEADER

TITLE = "Attention by source and head"

MAX_RNAS = 1500
"""Training RNAs, about, whose attention is measured."""

N_HEADS = 3
"""Heads shown on their own: those that read least evenly."""

NOT_IMPORTANCE = (
    "Attention is not importance: a source that is read much may change no prediction. What a "
    "source is worth is measured by training without it (mirnagraph ablate, drop-one)."
)

NAMED = {
    KMER: "k-mers",
    LETTERS: "nucleotides (sequence tower)",
    PRESENCE: "which sources the RNA has",
    TREES: "prediction of the trees",
    "degree": "number of partners",
    "n_similar": "number of similar RNAs",
}
"""Token -> plain words, where they are not made of its kind and its target."""


@dataclass(frozen=True, eq=False)
class Readings:
    """Attention of n RNAs.

    Attributes:
        sources: names of tokens.
        heads: names: a query of a head of a member each, which have weights of their own.
        relative: weight times the number of sources that the RNA has, so that even attention is 1;
            shape (n, n_heads, n_sources), NaN at a source that the RNA does not have.
    """

    sources: tuple[str, ...]
    heads: tuple[str, ...]
    relative: np.ndarray


def attention_section(run: ReportRun) -> Section:
    """Attention of the final model of a run of `mirnagraph train`."""
    path = run.folder / "model" / HEADER
    if not path.is_file():
        return Section(TITLE, (Text("No model in this run folder."),))
    try:
        model = load(run.folder)
    except CheckpointError as error:
        return Section(TITLE, (Text(f"The model of this run cannot be opened: {error}"),))
    readings = read_attention(model) if isinstance(model, SavedModel) else None
    if readings is None:
        return Section(TITLE, (Text("The model of this run has no attention over sources."),))
    return Section(TITLE, attention_blocks(readings))


def attention_blocks(readings: Readings) -> tuple[Block, ...]:
    """Figure and table of attention, or a sentence where all heads read evenly."""
    words = plain_words(readings.sources)
    data = attention_data(readings, words)
    n_rnas, n_heads, _ = readings.relative.shape
    blocks: list[Block] = [Text(NOT_IMPORTANCE)]
    measured = f"{n_rnas} training RNAs, {n_heads} heads (a query of a head of a member each)"
    if data.empty:
        percent = 100 * VARIES
        blocks.append(
            Text(
                f"No head reads a source {percent:.0f} % or more unevenly (root mean square over "
                f"RNAs): {measured}."
            )
        )
    else:
        chart = Chart(
            "attention",
            TITLE,
            POINTS,
            data,
            "attention / even attention",
            "",
            f"Mean ± SD over the RNAs that have the source; {measured}. The line at 1 is even "
            "attention: 1 / number of sources of the RNA. Shown are the mean of all heads, up to "
            f"{N_HEADS} heads that read least evenly, and sources that one of these reads at least "
            f"{100 * VARIES:.0f} % unevenly (root mean square over RNAs). 'Near by': compartments "
            "of the training RNAs most similar in it.",
            line_at=1.0,
            n_columns=2,
        )
        blocks.append(chart)
    blocks.append(_all_sources(readings, words))
    return tuple(blocks)


def _all_sources(readings: Readings, words: tuple[str, ...]) -> Block:
    """Every source: mean of all heads, and the heads that read it least and most."""
    of_heads, _, n_rnas = over_rnas(readings.relative)
    mean, sd, _ = over_rnas(readings.relative.mean(axis=1, keepdims=True))
    rows = []
    for number in np.argsort(-mean[0], kind="stable").tolist():
        lowest = of_heads[:, number].min()
        highest = of_heads[:, number].max()
        average = f"{mean[0, number]:.2f} ± {sd[0, number]:.2f}"
        extremes = [f"{lowest:.2f}", f"{highest:.2f}"]
        token = readings.sources[number]
        rows.append([words[number], token, int(n_rnas[0, number]), average, *extremes])
    header = ["source", "token", "RNAs", "mean of all heads ± SD", "lowest head", "highest head"]
    caption = "Relative to even attention, which is 1; SD over the RNAs that have the source."
    return make_table(header, rows, caption, title="All sources as a table")


def read_attention(model: SavedModel) -> Readings | None:
    """Attention of a model on the RNAs it was trained on, at most about `MAX_RNAS` of them.

    Returns:
        Sources that two RNAs or more have; None for a model without attention over sources.
    """
    reference = reference_of(model)
    rows = np.flatnonzero(reference.trained)
    rows = rows[:: max(1, -(-len(rows) // MAX_RNAS))]
    fusion_model = model.fusion_model(reference.tokens)
    if isinstance(fusion_model.attention, TrainedFusion):
        measured = tower_attention(fusion_model.attention, fusion_model.tokens, rows)
    elif isinstance(fusion_model.attention, TrainedAttention):
        tokens = fusion_model.tokens.select(fusion_model.config.tokens.attention)
        measured = member_attention(fusion_model.attention, tokens, rows, model.compartments)
    else:
        measured = None
    if measured is None:
        return None
    sources, heads, weights, is_present = measured
    relative = relative_attention(weights, is_present)
    is_kept = is_present.sum(axis=0) >= 2
    kept = tuple(name for name, is_in in zip(sources, is_kept, strict=True) if is_in)
    return Readings(kept, heads, relative[:, :, is_kept])


Measured = tuple[tuple[str, ...], tuple[str, ...], np.ndarray, np.ndarray]
"""Sources, heads, weights (n, n_heads, n_sources), which sources an RNA has (n, n_sources)."""


def tower_attention(
    trained: TrainedFusion, tokens: TokenTable, rows: np.ndarray
) -> Measured | None:
    """Attention of a fusion of two towers; None where it takes the mean of the tokens.

    Args:
        trained: the fusion.
        tokens: with all tokens of the settings.
        rows: of RNAs.
    """
    if trained.model.config.pooling != "attention":
        return None
    inputs = trained.inputs(tokens, rows)
    with torch.no_grad():
        weights = trained.model(inputs)[1]
    n_members, n, n_heads, n_queries, n_sources = weights.shape
    heads = []
    for member in range(n_members):
        for head in range(n_heads):
            place = _place(member, n_members, head)
            heads += [f"{place}, query {query + 1}" for query in range(n_queries)]
    by_rna = weights.permute(1, 0, 2, 3, 4).reshape(n, len(heads), n_sources)
    return tuple(trained.model.sources), tuple(heads), by_rna.numpy(), inputs.present.numpy()


def member_attention(
    trained: TrainedAttention,
    tokens: TokenTable,
    rows: np.ndarray,
    compartments: tuple[str, ...],
) -> Measured | None:
    """Attention of members with a query per compartment, or with the tokens as queries.

    RNAs without any token are left out.

    Args:
        trained: the members.
        tokens: those that they read, in order.
        rows: of RNAs.
        compartments: names of the queries.
    """
    values, present = as_tensors(tokens, rows)
    has_any = present.any(dim=1)
    values = [value[has_any] for value in values]
    present = present[has_any]
    heads = []
    tables = []
    for member, attention in enumerate(trained.members):
        weights = head_weights(attention, values, present)
        if weights is None:
            continue
        has_queries = "queries" in attention.config.readout
        for head in range(weights.shape[1]):
            place = _place(member, len(trained.members), head)
            heads += [f"{place}: {name}" for name in compartments] if has_queries else [place]
        tables.append(weights.flatten(1, 2).numpy())
    if not tables or not len(present):
        return None
    names = tuple(token.name for token in tokens)
    return names, tuple(heads), np.concatenate(tables, axis=1), present.numpy()


def _place(member: int, n_members: int, head: int) -> str:
    """Name of a head, with its member where there are several."""
    return f"member {member + 1}, head {head + 1}" if n_members > 1 else f"head {head + 1}"


def head_weights(member: TokenFusion, values: list[Tensor], present: Tensor) -> Tensor | None:
    """Weights of the last attention of a member for each head.

    Args:
        member: in evaluation mode.
        values: one tensor (n, width) per token.
        present: bool, shape (n, n_tokens); every row has a token.

    Returns:
        Shape (n, n_heads, n_queries, n_tokens): a query per compartment, or one, the mean over the
        present tokens as queries. None for a member without attention.
    """
    last: nn.Module | None = getattr(member, "read", None) or getattr(member, "light_read", None)
    has_queries = last is not None
    if last is None:
        if not len(member.blocks):
            return None
        last = member.blocks[-1]
    seen: list[Tensor] = []
    handle = last.register_forward_hook(lambda _module, _given, made: seen.append(made[1]))
    try:
        with torch.no_grad():
            member(values, present)
    finally:
        handle.remove()
    (weights,) = seen
    weights = weights[..., :-1]  # without "no token", which a row with a token does not read
    if has_queries:
        return weights
    share = present.float() / present.sum(dim=1, keepdim=True)
    return torch.einsum("nq,nhqt->nht", share, weights[:, :, :-1]).unsqueeze(2)


def relative_attention(weights: np.ndarray, is_present: np.ndarray) -> np.ndarray:
    """Weights times the number of sources of the RNA; NaN at sources that it does not have.

    Args:
        weights: shape (n, n_heads, n_sources), each row sums to 1.
        is_present: shape (n, n_sources).
    """
    n_sources = is_present.sum(axis=1, dtype=weights.dtype)
    relative = weights * n_sources[:, None, None]
    return np.where(is_present[:, None, :], relative, np.nan)


def over_rnas(relative: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and SD (of the population) over the RNAs that have a source, and their number.

    Args:
        relative: shape (n, n_heads, n_sources), see `relative_attention`.

    Returns:
        Three arrays of shape (n_heads, n_sources).
    """
    n_rnas = np.isfinite(relative).sum(axis=0)
    mean = np.asarray(np.nanmean(relative, axis=0, dtype=np.float64))
    sd = np.asarray(np.nanstd(relative, axis=0, dtype=np.float64))
    return mean, sd, n_rnas


def unevenness(relative: np.ndarray) -> np.ndarray:
    """Root mean square, over RNAs, of the distance of `relative` from 1: (n_heads, n_sources)."""
    mean, sd, _ = over_rnas(relative)
    return np.asarray(np.sqrt((mean - 1) ** 2 + sd**2))


def attention_data(readings: Readings, words: tuple[str, ...]) -> pd.DataFrame:
    """Data of the figure: a panel for the mean of all heads, and one for each uneven head.

    Args:
        readings: of the model.
        words: of its sources.

    Returns:
        See `chart_data`: ``x`` the mean over RNAs, ``low`` and ``high`` one SD from it, ``label``
        the number of RNAs; without rows where every head reads evenly.
    """
    relative = readings.relative
    uneven = unevenness(relative)
    overall = np.sqrt((uneven**2).mean(axis=1))
    order = np.argsort(-overall, kind="stable")
    order = order[(uneven[order] >= VARIES).any(axis=1)][:N_HEADS]
    if not len(order):
        return chart_data([])
    shown = relative[:, order]
    titles = [readings.heads[number] for number in order]
    if len(readings.heads) > 1:
        average = relative.mean(axis=1, keepdims=True)
        shown = np.concatenate([average, shown], axis=1)
        titles = [f"mean of {len(readings.heads)} heads", *titles]
    mean, sd, n_rnas = over_rnas(shown)
    is_uneven = np.asarray((unevenness(shown) >= VARIES).any(axis=0))
    sources = [number for number in np.argsort(-mean[0], kind="stable") if is_uneven[number]]
    rows = []
    for place, title in enumerate(titles):
        for number in sources:
            value = float(mean[place, number])
            spread = float(sd[place, number])
            point = {"panel": title, "series": "", "x": value, "y": words[number]}
            bounds = {"low": value - spread, "high": value + spread}
            rows.append({**point, **bounds, "label": f"{n_rnas[place, number]} RNAs"})
    return chart_data(rows)


def plain_words(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Plain words of tokens; where two have the same, with their targets, or the tokens."""
    words = [token_words(token) for token in tokens]
    with_target = []
    for token, text in zip(tokens, words, strict=True):
        target = "" if JOIN in token else TokenName.parse(token).target
        is_shared = words.count(text) > 1 and bool(target)
        with_target.append(f"{text}: {target}" if is_shared else text)
    return tuple(
        f"{text} [{token}]" if with_target.count(text) > 1 else text
        for token, text in zip(tokens, with_target, strict=True)
    )


def token_words(token: str) -> str:
    """Plain words of one token.

    >>> token_words("nearest:weighted_disease"), token_words("svd:drug")
    ('near by diseases (weighted)', 'drugs (svd)')
    >>> token_words("kernel_features:expression-evidence")
    'kernel of expression x evidence'
    """
    if JOIN in token:
        parts = [str(part) for part in parse_joined(token)]
        return " + ".join(token_words(part.rstrip("?")) for part in parts)
    if token in NAMED:
        return NAMED[token]
    name = TokenName.parse(token)
    if name.kind == KERNEL_FEATURES:
        blocks = name.target.replace("_", " ").split("-")
        return f"kernel of {' x '.join(blocks)}"
    if name.kind in BY_SIMILARITY:
        source = source_of_kind(modality_of(token) or name.target)
        measure = name.measure or name.target
        detail = "" if measure == source else f" ({measure})"
        return f"near by {source}{detail}"
    source = source_of(token)
    source = WORDS.get(source, source)
    return source if source == name.kind else f"{source} ({name.kind})"
