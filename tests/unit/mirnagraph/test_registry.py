"""Registry: order of look-up, import on use, entry points, errors that name the nearest."""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from mirnagraph import registry as module
from mirnagraph.errors import ConfigError
from mirnagraph.registry import Registry


def made(monkeypatch: pytest.MonkeyPatch, points: dict[str, str] | None = None) -> Registry[Any]:
    found = [EntryPoint(name, value, "test.towers") for name, value in (points or {}).items()]

    def fake(*, group: str) -> list[EntryPoint]:
        return found if group == "test.towers" else []

    monkeypatch.setattr(module, "entry_points", fake)
    builtin = {"ordered": "collections:OrderedDict", "broken": "no_such_module:X"}
    return Registry("tower", "test.towers", builtin)


def test_an_entry_is_imported_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    towers = made(monkeypatch)
    assert towers["ordered"] is OrderedDict
    assert towers.names() == ["ordered", "broken"]
    assert "broken" in towers
    towers.check("broken")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        towers["broken"]


def test_register_by_decorator_and_by_call(monkeypatch: pytest.MonkeyPatch) -> None:
    towers = made(monkeypatch)

    @towers.register("mine")
    class Mine:
        pass

    assert towers.register("number", 7) == 7
    assert towers["mine"] is Mine
    assert towers["number"] == 7
    assert towers.names() == ["ordered", "broken", "mine", "number"]
    for taken in ("ordered", "mine"):
        with pytest.raises(ConfigError, match=f"tower '{taken}' is registered already"):
            towers.register(taken, 1)


def test_entry_points_add_names_and_do_not_replace_any(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {"counter": "collections:Counter", "ordered": "collections:deque"}
    towers = made(monkeypatch, points)
    assert towers["counter"].__name__ == "Counter"
    assert towers["ordered"] is OrderedDict
    assert towers.names() == ["ordered", "broken", "counter"]


def test_an_entry_point_that_cannot_be_imported_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    towers = made(monkeypatch, {"bad": "no_such_module:X", "worse": "collections:Nothing"})
    for name, value in (("bad", "no_such_module:X"), ("worse", "collections:Nothing")):
        with pytest.raises(ConfigError, match=rf"tower '{name}' \({value}\) cannot be imported"):
            towers[name]


def test_an_unknown_name_is_answered_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    towers = made(monkeypatch, {"counter": "collections:Counter"})
    expected = r"^unknown tower 'countr'; did you mean 'counter'\? known: ordered, broken, counter$"
    with pytest.raises(ConfigError, match=expected):
        towers["countr"]
    with pytest.raises(ConfigError, match=r"^unknown tower .xyz.; known: ordered, broken, "):
        towers.check("xyz")
    assert "xyz" not in towers


def test_the_module_loads_nothing_heavy() -> None:
    code = (
        "import sys, mirnagraph.registry\n"
        "assert not {'torch', 'pandas', 'numpy', 'torch_geometric'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
