"""One door for Python: types of arguments are checked, columns are read by place."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import mirnagraph
from mirnagraph.dataset import Dataset
from mirnagraph.errors import ArgumentError, ConfigError, InputError, MirnagraphError
from mirnagraph.nodes import NodeIndex
from mirnagraph.reading.arguments import checked, finite_matrix
from mirnagraph.similarity.disease import (
    blend,
    disease_semantic_similarity,
    functional_similarity,
)
from mirnagraph.similarity.kmer import kmer_similarity, kmer_similarity_between
from mirnagraph.similarity.profile import (
    correlation_similarity,
    cosine,
    gip_similarity,
    tf_idf,
)
from mirnagraph.similarity.smith_waterman import (
    alignment_scores,
    mature_similarity,
    smith_waterman,
    smith_waterman_between,
)
from seqtower.data.clusters import cluster

TEXTS = ["ACGUACGUACGU", "GGGUACGUACGU", "CCGUACGUAAAC"]
COLUMN = pd.Series(TEXTS, index=[2, 0, 1])
FILTERED = pd.Series(TEXTS, index=["x", "y", "z"])


@checked
def sample(
    path: str | Path,
    texts: Sequence[str | None],
    n: int = 1,
    *,
    share: float = 0.5,
    flag: bool = False,
    table: Mapping[str, str] | None = None,
    values: np.ndarray | None = None,
) -> tuple[object, ...]:
    """What came through the door."""
    return path, texts, n, share, flag, table, values


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": 5}, "sample: path is 5 (int), expected a text or a path"),
        ({"texts": "ACGU"}, "sample: texts is 'ACGU' (str), expected several, each a text or None"),
        ({"texts": {"ACGU"}}, "sample: texts is {'ACGU'} (set)"),
        ({"texts": [1]}, "sample: texts is [1] (list)"),
        ({"texts": None}, "sample: texts is None (NoneType)"),
        ({"n": "two"}, "sample: n is 'two' (str), expected a whole number"),
        ({"n": True}, "sample: n is True (bool), expected a whole number"),
        ({"n": 1.5}, "sample: n is 1.5 (float), expected a whole number"),
        ({"share": "x"}, "sample: share is 'x' (str), expected a number"),
        ({"flag": 1}, "sample: flag is 1 (int), expected True or False"),
        ({"table": ["a"]}, "expected a mapping of a text to a text or None"),
        ({"values": "x"}, "sample: values is 'x' (str), expected ndarray or None"),
        ({"values": ["a", None]}, "sample: values is ['a', None] (list), expected ndarray"),
        ({"other": 1}, "sample: got an unexpected keyword argument 'other'"),
    ],
)
def test_a_wrong_type_is_one_line(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError) as error:
        sample(**{"path": "p", "texts": ["a"], **arguments})  # type: ignore[arg-type]
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert isinstance(error.value, ConfigError)
    assert isinstance(error.value, TypeError)


def test_what_fits_goes_through() -> None:
    path, texts, n, share, flag, table, values = sample(
        Path("p"), COLUMN, np.int64(3), share=1, flag=True, table={"a": "b"}, values=[1, 2]
    )
    assert (path, texts, n, share, flag, table) == (Path("p"), TEXTS, 3, 1, True, {"a": "b"})
    assert values.tolist() == [1, 2]
    assert sample("p", [None, "a", float("nan")])[1][:2] == [None, "a"]
    assert sample("p", ("a",), values=pd.Series([3, 1], index=[1, 0]))[6].tolist() == [3, 1]


@pytest.mark.parametrize("column", [COLUMN, FILTERED, np.array(TEXTS), tuple(TEXTS)])
def test_row_i_is_of_the_i_th_element(column: Sequence[str]) -> None:
    for function in (smith_waterman, kmer_similarity, cluster):
        assert np.array_equal(function(column), function(TEXTS)), function
    for function in (smith_waterman_between, kmer_similarity_between, alignment_scores):
        assert np.array_equal(function(column, TEXTS[:2]), function(TEXTS, TEXTS[:2])), function
        assert np.array_equal(function(TEXTS[:2], column), function(TEXTS[:2], TEXTS)), function
    flags = pd.Series([True, False, False], index=[1, 2, 0])
    expected = kmer_similarity(TEXTS, circular=[True, False, False])
    assert np.array_equal(kmer_similarity(column, circular=flags), expected)
    groups = pd.Series([["ACGU"], ["GGGU", "ACGU"], []], index=[2, 0, 1])
    assert np.array_equal(mature_similarity(groups), mature_similarity(list(groups)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("make", [np.array, pd.DataFrame, sparse.csr_array, sparse.csr_matrix])
def test_a_matrix_with_nan_is_refused(bad: float, make: type) -> None:
    whole = np.array([[1.0, 0.0], [0.5, 1.0]])
    broken = make(np.array([[1.0, bad], [0.5, 1.0]]))
    calls = [
        lambda: gip_similarity(broken),
        lambda: cosine(broken),
        lambda: tf_idf(broken),
        lambda: functional_similarity(broken, whole),
        lambda: functional_similarity(whole, broken),
        lambda: blend(broken, whole),
        lambda: blend(whole, broken),
    ]
    for call in calls:
        with pytest.raises(InputError, match=r"is not finite \(row 0, column 1\)"):
            call()
    with pytest.raises(InputError, match="not finite"):
        correlation_similarity(np.array([[1.0, np.inf], [1.0, 2.0]]))


def test_a_matrix_is_read_by_place_and_has_two_dimensions() -> None:
    table = pd.DataFrame([[1, 0], [1, 1]], index=["b", "a"], columns=["y", "x"])
    assert np.array_equal(gip_similarity(table), gip_similarity(table.to_numpy()))
    assert np.array_equal(gip_similarity([[1, 0], [1, 1]]), gip_similarity(table))
    for wrong in (np.array([1.0, 0.0]), np.zeros((1, 1, 1))):
        with pytest.raises(InputError, match="is no matrix; found shape"):
            gip_similarity(wrong)
    for wrong in ("x", 5, None):
        with pytest.raises(ArgumentError, match="gip_similarity: associations is"):
            gip_similarity(wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="semantic is not square"):
        functional_similarity(np.eye(2), np.ones((2, 3)))
    with pytest.raises(ArgumentError, match="m holds texts, expected numbers"):
        finite_matrix([["a", "b"]], "m")


def test_one_tree_number_of_two_descriptors_is_refused() -> None:
    rows = [("C1", "root"), ("C1.1", "a"), ("C1.1", "b"), ("C1.2", "c")]
    tree = pd.DataFrame(rows, columns=["tree_number", "descriptor_id"])
    with pytest.raises(InputError, match=r"tree_number.*two descriptors; found C1.1 of a and of b"):
        disease_semantic_similarity(tree, pd.Series(["a", "b", "c"]))
    alone = disease_semantic_similarity(tree.iloc[[0, 1, 3]], ["a", "c"])
    assert alone[0, 1] == pytest.approx(1 / 3)


@pytest.mark.parametrize("ids", ["abc", 5, None, [None], [1.5], [float("nan")], [True], [b"x"]])
def test_ids_are_names(ids: object) -> None:
    with pytest.raises(ArgumentError, match=r"NodeIndex.of: id"):
        NodeIndex.of(ids, "miRNA")  # type: ignore[arg-type]


def test_parts_of_a_dataset_are_checked(small_dataset: Dataset) -> None:
    for name, value in (("rnas", {"a": "ACGU"}), ("labels", [1]), ("associations", "x"),
                        ("name", 5), ("synthetic", "no"), ("measurements", [])):  # fmt: skip
        with pytest.raises(ArgumentError, match=f"Dataset: {name} is"):
            replace(small_dataset, **{name: value})


def test_folders_and_parts_of_networks_are_checked(small_dataset: Dataset) -> None:
    for kind in (Dataset, mirnagraph.NetworkSet):
        with pytest.raises(ArgumentError, match=rf"{kind.__name__}.load: folder is 5"):
            kind.load(5)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"Dataset\.save: folder is 5"):
        small_dataset.save(5)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="NetworkConfig: sequence is 5"):
        mirnagraph.NetworkConfig(sequence=5)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="NetworkSet: networks is 5"):
        mirnagraph.NetworkSet(small_dataset, 5, {})  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="Network: rnas is 5"):
        mirnagraph.Network("x", 5, None, sparse.csr_array((1, 1)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no such kind of association; found x"):
        small_dataset.association_matrix("x")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, data, run: m.predict(5), "predict: model is 5 (int)"),
        (lambda m, data, run: m.predict(None), "predict: model is None (NoneType)"),
        (lambda m, data, run: m.predict(run, 5), "predict: names is 5 (int)"),
        (lambda m, data, run: m.predict(run, [1, 2]), "predict: names is [1, 2] (list)"),
        (lambda m, data, run: m.predict(run, sequences=["ACGU"]), "predict: sequences is ['ACGU']"),
        (lambda m, data, run: m.predict(run, workers="two"), "predict: workers is 'two' (str)"),
        (lambda m, data, run: m.explain(run, 5), "explain: rna is 5 (int)"),
        (lambda m, data, run: m.explain(run, "x", networks="n"), "explain: networks is 'n' (str)"),
        (lambda m, data, run: m.build_networks("demo"), "build_networks: dataset is 'demo' (str)"),
        (lambda m, data, run: m.build_networks(None), "build_networks: dataset is None"),
        (lambda m, data, run: m.build_networks(data, {"a": 1}), "build_networks: config is {'a':"),
        (lambda m, data, run: m.cross_validate("folder"), "cross_validate: networks is 'folder'"),
        (lambda m, data, run: smith_waterman("ACGU"), "smith_waterman: sequences is 'ACGU' (str)"),
    ],
)
def test_public_functions_name_the_argument(
    small_dataset: Dataset, tmp_path: Path, call: Callable[..., object], message: str
) -> None:
    with pytest.raises(ArgumentError) as error:
        call(mirnagraph, small_dataset, tmp_path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def public_functions() -> list[tuple[str, object]]:
    """Functions of the package's front, and of the modules that list their names."""
    every = {}
    for module in (mirnagraph, importlib.import_module("mirnagraph.names")):
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value):
                every[f"{module.__name__}.{name}"] = value
    return sorted(every.items())


JUNK = (object(), 5, -1.5, b"x", "no such thing \x00", [object()], {"a": object()}, lambda: 0)


@pytest.mark.parametrize(("name", "function"), public_functions())
def test_no_public_function_ends_in_an_error_of_its_insides(name: str, function: object) -> None:
    parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    needed = [p for p in parameters if p.default is p.empty and p.kind != p.VAR_KEYWORD]
    assert needed or name == "mirnagraph.demo_dataset"
    for junk in JUNK:
        if not needed:
            continue
        with contextlib.suppress(MirnagraphError):
            function(*[junk] * len(needed))  # type: ignore[operator]


# What numpy and pandas would change without a word


EYE = np.eye(3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ma.array(EYE, mask=EYE > 0), "has masked values"),
        (EYE + 1j, "holds complex numbers"),
        (sparse.csr_array(EYE + 1j), "holds complex numbers"),
        (EYE.astype("datetime64[s]"), "holds dates"),
        (EYE.astype("timedelta64[s]"), "holds durations"),
        (EYE.astype(str), "holds texts"),
        (EYE.astype("S3"), "holds bytes"),
        (pd.DataFrame(EYE).astype(str), "holds texts"),
        (np.zeros(2, dtype=[("a", float)]), "holds records"),
        ([[10**400, 1], [1, 0]], "(no|each a) number"),
    ],
    ids=["masked", "complex", "sparse complex", "date", "duration", "text", "bytes", "frame",
         "records", "huge"],
)  # fmt: skip
def test_what_numpy_would_change_without_a_word_is_refused(values: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        finite_matrix(values, "m")
    with pytest.raises(ArgumentError, match=message):
        gip_similarity(values)  # type: ignore[arg-type]


class ArrayLike:
    """Of another library, such as torch."""

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return EYE


@pytest.mark.parametrize(
    "values",
    [
        np.ma.array(EYE),
        np.matrix(EYE),
        ArrayLike(),
        pd.DataFrame(EYE).astype("Float64"),
        pd.DataFrame(EYE).astype("boolean"),
        pd.DataFrame(EYE).astype("double[pyarrow]"),
        pd.DataFrame(EYE, index=[2, 1, 0]),
        EYE.astype(">f4"),
        sparse.coo_array((np.full(6, 0.5), (np.tile(range(3), 2), np.tile(range(3), 2)))),
    ],
    ids=[
        "masked",
        "matrix",
        "__array__",
        "Float64",
        "boolean",
        "arrow",
        "labels",
        "swapped",
        "coo",
    ],
)
def test_every_array_of_numbers_is_read_alike(values: object) -> None:
    assert np.array_equal(gip_similarity(values), gip_similarity(EYE))  # type: ignore[arg-type]


def test_an_array_argument_gets_a_plain_array_with_nan_for_what_is_missing() -> None:
    for values in (np.matrix([[1.0, 2.0]]), np.ma.array([[1.0, 2.0]])):
        assert type(sample("p", [], values=values)[-1]) is np.ndarray
    table = pd.DataFrame({"a": pd.array([1, None], dtype="Int64")})
    values = sample("p", [], values=table)[-1]  # type: ignore[arg-type]
    assert isinstance(values, np.ndarray)
    assert np.array_equal(values, [[1.0], [np.nan]], equal_nan=True)
    with pytest.raises(ArgumentError, match="sample: values has masked values"):
        sample("p", [], values=np.ma.array([1, 2], mask=[True, False]))


def test_a_missing_text_of_pandas_is_none_and_a_table_is_no_list() -> None:
    with_missing = pd.Series(["ACGU", pd.NA, "ACGU"], dtype="string")
    expected = kmer_similarity(["ACGU", None, "ACGU"])
    for texts in (with_missing, list(with_missing), with_missing.astype(object)):
        assert np.array_equal(kmer_similarity(texts), expected)  # type: ignore[arg-type]
    table = pd.DataFrame({"ACGU": [1], "GGGG": [2]})  # its column names are no sequences
    with pytest.raises(ArgumentError, match="kmer_similarity: sequences is"):
        kmer_similarity(table)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="predict: names is"):
        mirnagraph.predict("shipped", table)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["\0", "a" * 5000, f"x/{'a' * 256}/y"])
def test_a_text_that_can_be_no_path_is_refused(path: str) -> None:
    for function in (mirnagraph.load, mirnagraph.load_dataset, mirnagraph.demo_dataset().save):
        with pytest.raises(ArgumentError, match="expected a path"):
            function(path)


def test_half_a_character_and_a_number_beyond_floats_are_refused() -> None:
    with pytest.raises(ArgumentError, match="predict: names is"):
        mirnagraph.predict("shipped", ["\ud800"])
    with pytest.raises(ArgumentError, match="gip_similarity: gamma is 1000"):
        gip_similarity(EYE, gamma=10**400)
    assert sample("p", [], share=1e300)[3] == 1e300
