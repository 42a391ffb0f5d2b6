"""Runs of which a file was changed after they were finished: refused where they are read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirnagraph.errors import CheckpointError, ConfigError, InputError
from mirnagraph.runs.compare import compare_runs
from mirnagraph.runs.folder import RunFolder, rewriting, run_or_resume
from mirnagraph.runs.results import FoldResult, load_fold, save_fold
from mirnagraph.runs.run_file import FILES, UncheckedRunWarning, check_written, read_finished_run
from mirnagraph.writing.files import write_text
from mirnagraph.writing.tables import write_tsv

N = 40
LABELS = np.array([[number % 2, number // 2 % 2] for number in range(N)])


def table(values: np.ndarray) -> pd.DataFrame:
    columns = pd.DataFrame(values, columns=["P", "Q"])
    columns.insert(0, "rna_id", [f"r{number}" for number in range(N)])
    return columns


def fill(run: RunFolder) -> None:
    predicted = table(LABELS * 0.8 + 0.1)
    predicted.insert(1, "fold", np.arange(N) % 4)
    write_tsv(predicted, run.path / "predictions.tsv")
    write_tsv(predicted, run.path / "parts" / "trees.tsv")
    write_tsv(table(LABELS), run.path / "labels.tsv")
    write_text(run.path / "report.md", "# Run\n")
    write_text(run.path / "model" / "model.json", "{}")
    write_tsv(predicted, run.path / "model" / "known.tsv")
    write_text(run.path / "embeddings" / "contents.json", "{}")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run of 40 RNAs."""
    return run_or_resume(tmp_path / "run", "a = 1", {}, fill, seed=0)[1].path


def test_a_run_is_not_compared_with_itself(run: Path) -> None:
    (run.parent / "link").symlink_to(run)
    with pytest.raises(ConfigError, match="link is given twice; expected different runs"):
        compare_runs([run, run.parent / "link"], n_resamples=100)


def test_a_run_lists_the_tables_and_settings_that_commands_read(run: Path) -> None:
    listed = read_finished_run(run)[FILES]
    assert set(listed) == {"config.toml", "labels.tsv", "parts/trees.tsv", "predictions.tsv"}
    assert len(compare_runs([run], ["trees"], n_resamples=100)) > 0


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def edit(path: Path) -> None:
    path.write_text(path.read_text().replace("0.9", "0.8", 1))


@pytest.mark.parametrize("name", ["predictions.tsv", "parts/trees.tsv"])
@pytest.mark.parametrize("change", [cut, edit, Path.unlink])
def test_a_changed_table_is_refused(run: Path, name: str, change: object) -> None:
    change(run / name)  # type: ignore[operator]
    with pytest.raises(CheckpointError, match=rf"{name}: not the file that the run wrote; found"):
        compare_runs([run], ["trees"], n_resamples=100)


def test_a_table_beside_those_of_the_run_is_refused(run: Path) -> None:
    (run / "baselines" / "mine").mkdir(parents=True)
    (run / "baselines" / "mine" / "predictions.tsv").write_bytes(
        (run / "predictions.tsv").read_bytes()
    )
    with pytest.raises(CheckpointError, match=r"tions\.tsv: a table that the run did not write"):
        compare_runs([run], ["mine"], n_resamples=100)


def test_what_is_not_read_may_change(run: Path) -> None:
    (run / "report.md").write_text("my words")
    (run / "notes.tsv").write_text("mine")
    (run / "embeddings" / "contents.json").write_text('{"more": 1}')
    assert read_finished_run(run)["status"] == "done"


def test_a_run_of_an_earlier_version_is_read_with_a_word(run: Path) -> None:
    about = json.loads((run / "run.json").read_text())
    del about[FILES]
    (run / "run.json").write_text(json.dumps(about))
    edit(run / "predictions.tsv")
    with pytest.warns(UncheckedRunWarning, match="whether its files were changed is not checked"):
        read_finished_run(run)


@pytest.mark.parametrize("files", [5, ["a"], {"../x": "1"}, {"/etc/passwd": "1"}])
def test_a_damaged_list_is_refused(run: Path, files: object) -> None:
    RunFolder(run).add(**{FILES: files})
    with pytest.raises(InputError, match="column 'files': damaged entry"):
        read_finished_run(run)


def test_a_reopened_run_is_checked_and_listed_again(run: Path) -> None:
    again = RunFolder(run).reopen()
    write_tsv(table(LABELS * 0.5), run / "predictions.tsv")
    again.finish()
    read_finished_run(run)
    edit(run / "labels.tsv")
    (run / "labels.tsv").write_text("rna_id\tP\tQ\n")
    with pytest.raises(CheckpointError, match=r"labels\.tsv: not the file"):
        RunFolder(run).reopen()


def test_a_table_of_a_finished_run_is_written_again(run: Path) -> None:
    def write(value: float) -> None:
        with rewriting(run, "repeats.tsv", "never.tsv"):
            assert "repeats.tsv" not in RunFolder(run).read()[FILES]
            write_tsv(table(LABELS * value), run / "repeats.tsv")

    write(0.5)
    write(0.25)
    check_written(run)
    assert "never.tsv" not in RunFolder(run).read()[FILES]
    edit(run / "repeats.tsv")
    (run / "repeats.tsv").write_text("")
    with pytest.raises(CheckpointError, match=r"repeats\.tsv: not the file"):
        check_written(run)


def test_a_changed_fold_is_not_resumed(tmp_path: Path) -> None:
    rows = np.array([0, 2])
    save_fold(tmp_path, FoldResult(0, rows, {"model": np.array([[0.5], [0.25]])}))
    assert load_fold(tmp_path, 0).rows.tolist() == [0, 2]
    path = tmp_path / "folds" / "fold_00"
    good = (path / "fold.json").read_text()
    (path / "fold.json").write_text(good.replace("[0, 2]", "[0, 1]"))
    with pytest.raises(InputError, match=r"a finished fold is damaged; found .*was changed after"):
        load_fold(tmp_path, 0)
    (path / "fold.json").write_text(good)
    pd.DataFrame({"0": [0.5, 0.75]}).to_parquet(path / "model.parquet")
    with pytest.raises(InputError, match=r"damaged; found .*not the table that the fold wrote"):
        load_fold(tmp_path, 0)
