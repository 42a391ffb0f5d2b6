"""Entries of JSON files: wrong types, missing and unknown ones are one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirnagraph.errors import CheckpointError, InputError
from mirnagraph.reading.documents import read_json
from mirnagraph.reading.entries import EVERY, NEEDED, check_entries, check_keys, read_entries
from mirnagraph.runs.model_file import ENTRIES as MODEL_ENTRIES
from mirnagraph.runs.model_file import read_header, write_model
from mirnagraph.runs.results import FOLD_ENTRIES, read_fold_entries
from mirnagraph.runs.run_file import ENTRIES as RUN_ENTRIES
from mirnagraph.runs.run_file import read_run_json


@pytest.mark.parametrize(
    ("kind", "good", "bad", "expected"),
    [
        (str, "a", 5, "5 (int), expected a text"),
        (int, 5, 5.0, "5.0 (float), expected a whole number"),
        (int, 5, True, "True (bool), expected a whole number"),
        (float, 5, "5", "'5' (str), expected a number"),
        (float, 0.5, True, "True (bool), expected a number"),
        (bool, True, 1, "1 (int), expected true or false"),
        ((float, None), None, "x", "'x' (str), expected a number or nothing"),
        ([str], ["a"], ["a", 1], "['a', 1] (list), expected a list, each a text"),
        ([str], [], "a", "'a' (str), expected a list, each a text"),
        (frozenset({"a", "b"}), "a", "c", "'c' (str), expected one of a, b"),
        (frozenset({"a"}), "a", ["a"], "['a'] (list), expected one of a"),
        ({EVERY: int}, {"x": 1}, [1], "[1] (list), expected a table"),
        (dict, {}, [], "[] (list), expected a table"),
    ],
)
def test_kinds(kind: Any, good: Any, bad: Any, expected: str) -> None:
    check_entries({"entry": good, "other": object()}, {"entry": kind}, "x.json")
    with pytest.raises(CheckpointError) as error:
        check_entries({"entry": bad}, {"entry": kind}, "x.json")
    assert str(error.value) == f"x.json, column 'entry': wrong entry; found {expected}"


def test_entries_of_tables_in_tables() -> None:
    kinds = {"a": {NEEDED: ("b",), "b": {EVERY: int}}}
    check_entries({"a": {"b": {"c": 1}}}, kinds, "x.json")
    with pytest.raises(CheckpointError, match=r"column 'a\.b\.c': wrong entry; found 'd'"):
        check_entries({"a": {"b": {"c": "d"}}}, kinds, "x.json")
    with pytest.raises(CheckpointError, match=r"column 'a\.b': missing entry; expected a table"):
        check_entries({"a": {}}, kinds, "x.json")


def test_an_unknown_key_names_the_nearest() -> None:
    check_keys({"name": 1}, ("name", "unit"), "x.toml")
    with pytest.raises(InputError, match=r"x\.toml, column 'm\.unti': unknown .* mean 'unit'\?"):
        check_keys({"unti": 1}, ("name", "unit"), "x.toml", "m.")
    with pytest.raises(InputError, match="known: name, unit"):
        check_keys({"xyz": 1}, ("name", "unit"), "x.toml")


@pytest.mark.parametrize("text", ["[]", "5", "null", '"a"'])
def test_a_file_that_is_no_table(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match="no table of entries"):
        read_entries(tmp_path / "x.json", {})


def test_a_key_that_is_there_twice(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": {"seed": 1, "seed": 2}}')
    with pytest.raises(InputError, match="not a JSON file; found the key 'seed' is there twice"):
        read_json(tmp_path / "x.json")


WRONG: tuple[Any, ...] = (
    5,
    -1.5,
    "x",
    True,
    None,
    [],
    [5],
    ["x"],
    {},
    {"a": 5},
    {"a": ["x"]},
    [[]],
)
"""One value at least is of a wrong kind for every entry."""


def assert_refused(read: Any, path: Path, key: str) -> None:
    about = json.loads(path.read_text())
    messages = []
    for value in WRONG:
        path.write_text(json.dumps({**about, key: value}))
        try:
            read()
        except InputError as error:
            messages.append(str(error))
    assert messages
    assert all(key in message and "\n" not in message for message in messages)


@pytest.mark.parametrize("key", MODEL_ENTRIES)
def test_every_entry_of_a_header_is_checked(tmp_path: Path, key: str) -> None:
    write_model(tmp_path, "f", 1, {}, {"a": np.zeros(1)})
    assert_refused(lambda: read_header(tmp_path, "f", (1,)), tmp_path / "model.json", key)


@pytest.mark.parametrize("key", RUN_ENTRIES)
def test_every_entry_of_a_run_is_checked(tmp_path: Path, key: str) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"format_version": 1, "status": "done"}))
    assert_refused(lambda: read_run_json(tmp_path), tmp_path / "run.json", key)


@pytest.mark.parametrize("key", FOLD_ENTRIES)
def test_every_entry_of_a_fold_is_checked(tmp_path: Path, key: str) -> None:
    (tmp_path / "fold.json").write_text("{}")
    assert_refused(lambda: read_fold_entries(tmp_path), tmp_path / "fold.json", key)


@pytest.mark.parametrize(
    ("health", "message"),
    [
        (5, r"'health': wrong entry; found 5 \(int\), expected a table"),
        ({}, r"'health\.status': missing entry; expected one of failed, healthy"),
        ({"status": "ill"}, r"'health\.reason': missing entry; expected a text"),
    ],
)
def test_a_wrong_health(tmp_path: Path, health: object, message: str) -> None:
    write_model(tmp_path, "f", 1, {"health": health}, {"a": np.zeros(1)})
    with pytest.raises(CheckpointError, match=message):
        read_header(tmp_path, "f", (1,))
