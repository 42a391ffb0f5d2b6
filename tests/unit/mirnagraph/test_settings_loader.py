"""The settings loader: presets that extend others, files and values laid over them, errors."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fusion.config import experiment_config
from mirnagraph.config import lay_over, load_settings, preset_names, preset_values
from mirnagraph.errors import ConfigError
from mirnagraph.recipes.recipe import parse_recipe
from seqtower.config import seq_config

PRESETS = {
    "base": "[walk]\nlength = 5\nbias = 0.5\n",
    "short": 'extends = "base"\nnames = ["a"]\n[walk]\nlength = 2\n',
    "more": 'extends = "short"\n[append]\nnames = ["b", "c"]\n',
    "plain": "[walk]\nlength = 9\n",
    "lost": 'extends = "shirt"\n',
    "hen": 'extends = "egg"\n',
    "egg": 'extends = "hen"\n',
    "self": 'extends = "self"\n',
    "wrong": 'extends = "short"\n[append.walk]\nlength = [1]\n',
    "table": 'extends = "short"\nappend = ["d"]\n',
}


@dataclass(frozen=True)
class Walk:
    """A table of settings."""

    length: int = 80
    bias: float = 1.0


@dataclass(frozen=True)
class Settings:
    """Settings with a table and a list."""

    preset: str = "plain"
    names: tuple[str, ...] = ()
    walk: Walk = field(default_factory=Walk)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with the presets above."""
    name = "package_with_presets"
    folder = tmp_path / name / "presets"
    folder.mkdir(parents=True)
    (tmp_path / name / "__init__.py").write_text("")
    for preset, text in PRESETS.items():
        (folder / f"{preset}.toml").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    sys.modules.pop(name, None)


def test_a_preset_is_laid_over_the_one_it_extends(package: str) -> None:
    assert load_settings(Settings, package, "short") == Settings("short", ("a",), Walk(2, 0.5))
    assert load_settings(Settings, package, "more") == Settings(
        "more", ("a", "b", "c"), Walk(2, 0.5)
    )
    assert load_settings(Settings, package, "plain") == Settings("plain", (), Walk(9, 1.0))


def test_base_is_extended_and_never_asked_for(package: str) -> None:
    assert preset_names(package) == sorted(set(PRESETS) - {"base"})
    with pytest.raises(ConfigError, match="unknown preset 'base'"):
        preset_values(package, "base")
    for real in ("fusion", "seqtower"):
        assert "base" not in preset_names(real)


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("lost", r"^preset 'lost' extends the unknown preset 'shirt'; did you mean 'short'\?$"),
        ("hen", r"^presets of \w+ extend each other in a circle: hen -> egg -> hen$"),
        ("self", r"in a circle: self -> self$"),
        (
            "wrong",
            r"^preset wrong: found append\.walk\.length = \[1\], expected lists that are added",
        ),
        ("table", r"^preset table: found append = \['d'\], expected lists"),
        ("shorts", r"^unknown preset 'shorts'; did you mean 'short'\?$"),
    ],
)
def test_what_cannot_be_resolved_is_refused_in_one_sentence(
    package: str, preset: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load_settings(Settings, package, preset)


def test_file_and_values_are_laid_over_the_preset_in_this_order(
    package: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'preset = "more"\n[walk]\nlength = 3\nbias = 2\n[append]\nnames = ["d"]\n[others]\nx = 1\n'
    )
    over = {"walk": {"bias": 7.0}}
    found = load_settings(Settings, package, "plain", file, over, skip=("others",))
    assert found == Settings("more", ("a", "b", "c", "d"), Walk(3, 7.0))
    with pytest.raises(ConfigError, match=r"mine\.toml: unknown setting 'others'"):
        load_settings(Settings, package, "plain", file)
    file.write_text("preset = 3\n")
    with pytest.raises(
        ConfigError, match=r"mine\.toml: found preset = 3, expected the name of a preset"
    ):
        load_settings(Settings, package, "plain", file)


def test_laying_over_leaves_both_sides_as_they_were() -> None:
    base = {"a": {"x": [1]}, "b": 2}
    values = {"a": {"y": 3}, "append": {"a": {"x": [4]}}}
    assert lay_over(base, values) == {"a": {"x": [1, 4], "y": 3}, "b": 2}
    assert base == {"a": {"x": [1]}, "b": 2}
    assert values == {"a": {"y": 3}, "append": {"a": {"x": [4]}}}


def test_both_sides_add_tokens_and_tables_by_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[append.tokens]\nattention = ["tower"]\n')
    assert experiment_config("cold", file).tokens.attention[-2:] == ("neighbour_profile:*", "tower")
    file.write_text("[training]\nepochs = 3\n")
    training = seq_config("rnatracker", file).training
    assert (training.epochs, training.patience) == (3, 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[trees]\nn_trees = "10"', r"trees\.n_trees: found '10' \(str\), expected .* int"),
        ("[trees]\nn_trees = 10.5", r"trees\.n_trees: found 10\.5 \(float\)"),
        ("[trees]\nn_trees = true", r"trees\.n_trees: found True \(bool\)"),
        ("[trees]\nn_trees = 1979-05-27", r"trees\.n_trees: found datetime"),
        ("[trees.n_trees]\nx = 1", r"trees\.n_trees: found \{'x': 1\} \(dict\)"),
        ("[tokens]\ntrees = [1]", r"tokens\.trees: found 1 \(int\), expected .* str"),
        ("[tokens]\ntrees = 1", r"tokens\.trees: found 1 \(int\), expected a list"),
        ('[tokens]\ntrees = "degree"', r"tokens\.trees: found 'degree' \(str\), expected a list"),
        ("[tokens.trees]\na = 1", r"tokens\.trees: found \{'a': 1\} \(dict\), expected a list"),
        ("[mix]\nkernel = -1", r"mix: setting 'kernel' is -1\.0, expected 0 or more"),
        ("[attention]\nreadout = 'x'", r"attention: setting 'readout' is 'x', expected one of"),
        ("trees = 5", r"trees: found 5, expected a table of settings"),
        ("[trees]\nn_trees = 0", "setting 'n_trees' is 0, expected 1 or more"),
        ("[fusion]\nlearning_rate = nan", "learning_rate: found nan, expected a finite"),
        ("[trees]\nl2 = inf", "l2: found inf, expected a finite"),
        ("seed = 1e400", "seed: found inf"),
    ],
)
def test_an_error_names_the_setting(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "s.toml"
    path.write_text(text + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"^{path}.*{message}"):
        experiment_config("default", file=path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[training]\nepochs = -1",
            r"x\.toml\.training: setting 'epochs' is -1, expected 1",
        ),
        ("preset = 'treees'", r"x\.toml: unknown preset 'treees'; did you mean 'trees'"),
        ("[embedding.node2vec]\ndim = 0", r"x\.toml\.embedding\.node2vec: setting 'dim' is 0, exp"),
        (
            "[trees]\nn_trees = 10000000000",
            r"toml\.trees: .* 10000000000, .* 1,000,000,000 at m",
        ),
        ("[training]\nlearning_rate = inf", r"learning_rate: found inf, expected a finite number"),
        ("[kernel]\npenalty = nan", r"x\.toml\.kernel\.penalty: found nan, expected a finite num"),
        ("seed = 1" + "0" * 30, r"x\.toml\.seed: found a number of 31 digits, expected a smaller"),
        (
            "[training]\nlearning_rate = 1" + "0" * 400,
            r"rate: found a number of 401 digits",
        ),
    ],
)
def test_a_number_out_of_range_names_its_table(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        experiment_config(file=tmp_path / "x.toml")


def test_no_rate_is_above_what_libraries_hold(tmp_path: Path) -> None:
    """1e300 is no number of single precision: torch ended with a traceback."""
    (tmp_path / "x.toml").write_text("[training]\nlearning_rate = 1e300\n")
    message = r"toml\.training: setting 'learning_rate' is 1e\+300, expected 1e\+30 at most"
    for settings in (experiment_config, seq_config):
        with pytest.raises(ConfigError, match=message):
            settings("long" if settings is seq_config else "default", file=tmp_path / "x.toml")


def test_an_unknown_preset_of_an_option_is_not_looked_for_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("seed = 3\n")
    with pytest.raises(ConfigError, match=r"^unknown preset 'tree'; did you mean 'trees'"):
        experiment_config("tree", file=tmp_path / "x.toml")


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_bytes(b"\xef\xbb\xbfseed = 3\n")
    assert experiment_config("default", file=path).seed == 3


def test_a_list_is_no_table_of_settings() -> None:
    text = (
        'name = "x"\nspecies = "hsa"\n[rnas]\nfrom = "list"\nfile = "i.txt"\n[labels]\n'
        'file = "l.tsv"\nformat = "table"\ncolumns = ["Name"]\n'
    )
    message = r"r, \[labels\]\.columns: found \['Name'\] \(list\), expected a table of settings"
    with pytest.raises(ConfigError, match=message):
        parse_recipe(text, "r", None)
