"""A dataset that is saved and loaded is the same dataset, whatever is in it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from mirnagraph.dataset import Dataset

LINE_ENDS = "\t\n\r\x0b\x0c\x1c\x1d\x1e\x85  "
TURNED = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufffe\uffff"  # control characters
text = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=LINE_ENDS + TURNED),
    min_size=1,
    max_size=8,
)
ids = text.filter(lambda name: bool(name.strip()))
cell = st.one_of(
    st.just(""),
    text,
    st.sampled_from(["007", "1e5", "nan", "None", "NA", '"', "'", "#", "x;y", "1234567890123"]),
)
number = st.one_of(
    st.integers(-(2**53), 2**53).map(float),
    st.floats(-1e30, 1e30),
    st.just(float("nan")),
)


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    rna_ids = draw(st.lists(ids, min_size=1, max_size=5, unique=True))
    n = len(rna_ids)

    def columns(rows: int) -> dict[str, pd.Series]:
        return {
            "note": pd.Series(draw(st.lists(cell, min_size=rows, max_size=rows)), dtype=object),
            "weight": pd.Series(draw(st.lists(number, min_size=rows, max_size=rows)), dtype=float),
            "count": pd.Series(
                draw(st.lists(st.integers(-(2**62), 2**62), min_size=rows, max_size=rows)),
                dtype="int64",
            ),
        }

    letters = st.text("ACGUN", min_size=1, max_size=9).filter(
        lambda text: text not in ("NA", "NAN")
    )
    sequence = st.one_of(st.none(), letters)  # NA is no sequence, see docs/errors.md
    rnas = pd.DataFrame(
        {
            "sequence": pd.Series(draw(st.lists(sequence, min_size=n, max_size=n)), dtype=object),
            **columns(n),
        }
    )
    rnas.index = pd.Index(rna_ids, name="rna_id", dtype=object)
    associations, partners = {}, {}
    for kind in draw(
        st.lists(st.sampled_from(["mRNA", "drug", "disease"]), max_size=2, unique=True)
    ):
        names = draw(st.lists(ids, max_size=4, unique=True))
        every = [(rna, name) for rna in rna_ids for name in names]
        pairs = draw(st.lists(st.sampled_from(every), max_size=6, unique=True)) if every else []
        associations[kind] = pd.DataFrame(
            {
                **{
                    c: pd.Series([p[i] for p in pairs], dtype=object)
                    for i, c in enumerate(("rna_id", "partner_id"))
                },
                **columns(len(pairs)),
            }
        )
        partners[kind] = pd.DataFrame(columns(len(names))).set_axis(
            pd.Index(names, name="partner_id", dtype=object)
        )
        if kind == "disease":  # an ontology of which no disease has a descriptor is refused
            partners[kind]["descriptor_ids"] = pd.Series("D1", partners[kind].index, dtype=object)
    compartments = draw(
        st.lists(
            ids.filter(lambda name: name == name.strip() and name != "rna_id"),
            min_size=1,
            max_size=3,
            unique_by=str.casefold,
        )
    )
    cells = np.array(
        draw(
            st.lists(
                st.lists(st.integers(0, 1), min_size=len(compartments), max_size=len(compartments)),
                min_size=n,
                max_size=n,
            )
        ),
        dtype=np.int8,
    )
    left_out = pd.DataFrame(
        draw(st.lists(st.tuples(ids, cell, cell, cell), max_size=3)),
        columns=["item", "id", "reason", "source"],
        dtype=object,
    )
    ontology = pd.DataFrame(
        [("C01", "D1", draw(ids))], columns=["tree_number", "descriptor_id", "term"], dtype=object
    )
    return Dataset(
        name=draw(text),
        rnas=rnas,
        associations=associations,
        partners=partners,
        labels=pd.DataFrame(cells, index=rnas.index, columns=compartments),
        ontology=ontology,
        left_out=left_out,
        description=draw(text),
        synthetic=draw(st.booleans()),
    )


def difference(one: pd.DataFrame, other: pd.DataFrame) -> str:
    """What is not equal in two tables; empty where they are equal."""
    if list(one.columns) != list(other.columns) or len(one) != len(other):
        return f"{len(one)} rows of {list(one.columns)}, {len(other)} rows of {list(other.columns)}"
    if not len(one):  # a table without rows has no values whose type could differ
        return ""
    try:
        pd.testing.assert_frame_equal(
            one,
            other,
            check_exact=True,
            check_names=False,
            check_index_type=False,
            check_column_type=False,
        )
    except AssertionError as error:
        return str(error) or "not equal"
    return ""


@settings(max_examples=15, deadline=None)
@given(datasets())
def test_saved_and_loaded_datasets_are_equal(dataset: Dataset) -> None:
    with tempfile.TemporaryDirectory() as place:
        loaded = Dataset.load(dataset.save(Path(place) / "a"))
        again = Dataset.load(loaded.save(Path(place) / "b"))
        for file in (Path(place) / "a").iterdir():
            assert file.read_bytes() == (Path(place) / "b" / file.name).read_bytes()
    for other in (loaded, again):
        assert (other.name, other.description, other.synthetic, other.compartments) == (
            dataset.name,
            dataset.description,
            dataset.synthetic,
            dataset.compartments,
        )
        assert other.index == dataset.index
        assert not difference(dataset.rnas, other.rnas)
        assert not difference(dataset.labels, other.labels)
        assert not difference(dataset.ontology, other.ontology)
        assert not difference(dataset.left_out, other.left_out)
        assert list(other.associations) == list(dataset.associations)
        for kind in dataset.associations:
            assert not difference(dataset.associations[kind], other.associations[kind])
            assert not difference(dataset.partners[kind], other.partners[kind])
            assert (dataset.association_matrix(kind) != other.association_matrix(kind)).nnz == 0
