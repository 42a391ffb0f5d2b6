"""Evidence stored with a model: partners, PMIDs and similar RNAs, without the networks.

Run as ``python -m fusion.export.evidence MODEL NETWORKS`` to add it to an exported model.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from scipy import sparse

from fusion.export.files import CARD, EXPORT, check_folder, list_files
from fusion.export.load import Model, load
from fusion.models.reference import ReferenceRNAs
from fusion.models.saved import SavedModel
from mirnagraph.dataset import Dataset
from mirnagraph.errors import CheckpointError, ConfigError, InputError
from mirnagraph.io import write_text
from mirnagraph.networks.network import SIMILARITY_NETWORKS, NetworkSet
from mirnagraph.networks.similarities import Similarity, nearest_kept
from mirnagraph.reading.text import is_pmid, read_text
from mirnagraph.runs.arrays import load_arrays, save_arrays
from mirnagraph.similarity.best import nearest_lists

FILE = "evidence.safetensors"

N_PMIDS = 3
"""Latest PMIDs kept of an association, as many as an explanation has."""

N_NEAR = 20
"""Most similar RNAs kept by each similarity."""

KINDS = "kinds"
"""Array of the kinds of association, in their order."""

TITLE = "## Evidence"


def write_evidence(networks: NetworkSet, reference: ReferenceRNAs, folder: str | Path) -> None:
    """Write what explanations read of the networks to `FILE` in a model folder.

    Per kind of association its pairs, number of records and latest PMIDs; per similarity the most
    similar RNAs.

    Raises:
        CheckpointError: networks of other RNAs than the model's.
    """
    dataset = networks.dataset
    if dataset.index.checksum != reference.of_networks().index.checksum:
        raise CheckpointError("the networks hold other RNAs than the model", file=folder)
    arrays = {KINDS: _bytes_of(dataset.associations)}
    for kind, table in dataset.associations.items():
        partners = dataset.partner_index(kind)
        columns = partners.positions(table["partner_id"])
        arrays[f"rows.{kind}"] = dataset.index.positions(table["rna_id"]).astype(np.int64)
        arrays[f"columns.{kind}"] = columns.astype(np.int64)
        arrays[f"partners.{kind}"] = _bytes_of(partners.ids)
        if "n_records" in table.columns:
            arrays[f"n_records.{kind}"] = table["n_records"].to_numpy(dtype=np.float64)
        if "pmids" in table.columns:
            arrays[f"pmids.{kind}"] = _pmids(table["pmids"])
    for name in SIMILARITY_NETWORKS:
        if name in networks.similarities:
            near, weights = _nearest(networks.similarities[name])
            arrays[f"near.{name}"] = near
            arrays[f"weights.{name}"] = weights
    save_arrays(arrays, Path(folder) / FILE)


def _bytes_of(names: Iterable[str]) -> np.ndarray:
    return np.frombuffer("\n".join(names).encode("utf-8"), dtype=np.uint8)


def _names_of(array: np.ndarray) -> list[str]:
    return array.tobytes().decode("utf-8").split("\n")


def _pmids(cells: pd.Series) -> np.ndarray:
    """The latest PMIDs of ``;``-separated cells: int64, shape (n, N_PMIDS), 0 for none."""
    pmids = np.zeros((len(cells), N_PMIDS), dtype=np.int64)
    for row, cell in enumerate(cells.fillna("")):
        numbers = {int(pmid) for pmid in str(cell).split(";") if is_pmid(pmid)}
        latest = sorted(numbers, reverse=True)[:N_PMIDS]
        pmids[row, : len(latest)] = latest
    return pmids


def _nearest(similarity: Similarity) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the most similar RNAs and their similarity, both of shape (n, N_NEAR or n - 1)."""
    if not isinstance(similarity, np.ndarray):
        near, weights = nearest_lists(similarity, min(N_NEAR, similarity.shape[0] - 1))
        is_missing = near < 0
        own = np.broadcast_to(np.arange(len(near))[:, None], near.shape)
        return np.where(is_missing, own, near), np.where(is_missing, 1, weights)
    others = similarity.astype(np.float32).copy()
    np.fill_diagonal(others, 0.0)
    near = np.argsort(-others, axis=1, kind="stable")[:, : min(N_NEAR, len(others) - 1)]
    return near.astype(np.int64), np.take_along_axis(others, near, axis=1)


@lru_cache(maxsize=4)
def stored_networks(model: SavedModel) -> NetworkSet | None:
    """Networks of the evidence that is stored with a model; None where there is none.

    They hold associations and the nearest RNAs alone: what an explanation reads.

    Raises:
        CheckpointError: the file is damaged, or of other RNAs.
    """
    path = None if model.folder is None else model.folder / FILE
    if path is None or model.reference is None or not path.is_file():
        return None
    index = model.reference.of_networks().index
    try:
        return _networks(load_arrays(path), list(index.ids))
    except (OSError, SafetensorError, KeyError, IndexError, ValueError, InputError) as error:
        found = str(error).splitlines()[0]
        what = "the evidence of the model is damaged"
        raise CheckpointError(what, file=path, found=found) from None


def _networks(arrays: dict[str, np.ndarray], ids: list[str]) -> NetworkSet:
    rna_index = pd.Index(ids, name="rna_id", dtype=object)
    names = np.array(ids, dtype=object)
    associations = {}
    partners = {}
    for kind in filter(None, _names_of(arrays[KINDS])):
        rows = arrays[f"rows.{kind}"]
        partner_ids = _names_of(arrays[f"partners.{kind}"])
        partner_names = np.array(partner_ids, dtype=object)
        table = {"rna_id": names[rows], "partner_id": partner_names[arrays[f"columns.{kind}"]]}
        if f"n_records.{kind}" in arrays:
            table["n_records"] = arrays[f"n_records.{kind}"]
        if f"pmids.{kind}" in arrays:
            cells = arrays[f"pmids.{kind}"].tolist()
            table["pmids"] = [";".join(str(pmid) for pmid in row if pmid) for row in cells]
        associations[kind] = pd.DataFrame(table)
        partners[kind] = pd.DataFrame(index=pd.Index(partner_ids, name="partner_id"))
    rnas = pd.DataFrame({"sequence": None}, index=rna_index, dtype=object)
    labels = pd.DataFrame(index=rna_index)
    dataset = Dataset("evidence", rnas, associations, partners, labels)
    similarities = {}
    for name in SIMILARITY_NETWORKS:
        if f"near.{name}" in arrays:
            near = arrays[f"near.{name}"]
            similarities[name] = _similarity(near, arrays[f"weights.{name}"], len(ids))
    return NetworkSet(dataset, {}, similarities)


def _similarity(near: np.ndarray, weights: np.ndarray, n: int) -> Similarity:
    """Similarity of which the nearest rows of each are known."""
    if nearest_kept({}, n) is None:
        dense = np.eye(n, dtype=np.float32)
        np.put_along_axis(dense, near, weights, axis=1)
        return dense
    rows = np.repeat(np.arange(n), near.shape[1]).reshape(near.shape)
    is_near = (weights > 0) & (near != rows)
    entries = (weights[is_near], (rows[is_near], near[is_near]))
    return sparse.csr_array(entries, shape=(n, n))


def evidence_card(networks: NetworkSet) -> list[str]:
    """Lines of the model card on the evidence in the folder."""
    kinds = [f"{kind} {len(table)}" for kind, table in networks.dataset.associations.items()]
    near = [name for name in SIMILARITY_NETWORKS if name in networks.similarities]
    text = (
        f"`{FILE}` holds what explanations show: pairs of RNA and partner with the {N_PMIDS} "
        f"latest PMIDs of each ({', '.join(kinds)} pairs), and the {N_NEAR} RNAs most similar in "
        f"{', '.join(near)}. Sources are those of the data above; the pairs keep their licences."
    )
    return [TITLE, "", text, ""]


def add_evidence(folder: str | Path, networks: NetworkSet, model: Model) -> None:
    """Add evidence to an exported model: the file, its hash, and a section of the card.

    Weights and everything else stay as they are, and so do predictions.

    Args:
        folder: of the exported model.
        networks: that it was trained on.
        model: read from the folder.

    Raises:
        CheckpointError: no exported model, or networks of other RNAs.
        ConfigError: a model without reference RNAs.
    """
    folder = Path(folder)
    about = check_folder(folder)
    if not isinstance(model, SavedModel) or model.reference is None:
        raise ConfigError(f"the model in {folder} has no RNAs of networks to store evidence of")
    write_evidence(networks, model.reference, folder)
    card = read_text(folder / CARD)
    start, _, rest = card.partition(f"{TITLE}\n")
    if rest:
        rest = rest[rest.index("\n## ") + 1 :]
    else:
        start, heading, rest = card.partition("## Protocol\n")
        rest = heading + rest
    write_text(folder / CARD, start + "\n".join([*evidence_card(networks), rest]))
    about["files"] = list_files(folder)
    write_text(folder / EXPORT, json.dumps(about, indent=2) + "\n")
    check_folder(folder)


def main(folder: str, networks: str) -> None:
    """Add the evidence of a networks folder to an exported model."""
    add_evidence(folder, NetworkSet.load(networks), load(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
