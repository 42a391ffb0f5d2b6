"""Fixtures that all tests share; one thread per test,
so that tests run side by side without crowding each other.
"""

from __future__ import annotations

import gc
import logging
import os
from pathlib import Path

import pytest
from hypothesis import settings

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # read when numpy and torch load, which is later

# Shared machines are slow at times: a deadline per example would make properties fail by load,
# not by logic.
settings.register_profile("mirnagraph", deadline=None, print_blob=True)
settings.load_profile("mirnagraph")

# While the tests are collected: modules come and stay, and looking through them for garbage takes
# a fifth of that time.
gc.disable()


def pytest_collection_finish() -> None:
    """What was loaded so far stays; collections look at what the tests make."""
    gc.freeze()
    gc.enable()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes are named by their number: packed ones hold the time, and processes would not agree."""
    return f"{len(val)}bytes" if isinstance(val, bytes) else None


@pytest.fixture(autouse=True)
def _logs_as_they_were():
    """A command that runs inside a test sets what the packages log: the next test sees nothing."""
    loggers = [logging.getLogger(name) for name in ("mirnagraph", "seqtower", "fusion", "cli")]
    before = [(logger.level, logger.propagate, logger.handlers[:]) for logger in loggers]
    yield
    for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers = handlers


@pytest.fixture(scope="session")
def project():
    """Root of the source tree."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def synthetic():
    """A made-up dataset of 60 RNAs and three compartments, with its truth: ``(dataset, truth)``."""
    from mirnagraph.synthetic import SyntheticConfig, make_synthetic

    config = SyntheticConfig(
        n_rnas=60, n_compartments=3, n_families=12, n_communities=3, n_partners=(30, 15, 24), seed=7
    )
    return make_synthetic(config)


@pytest.fixture(scope="session")
def small_dataset(synthetic):
    """The dataset of `synthetic` alone. Shared by all tests of a session: do not change it."""
    return synthetic[0]


@pytest.fixture(scope="session")
def networks(small_dataset):
    """The networks of `small_dataset`. Shared by all tests of a session: do not change them."""
    from mirnagraph.networks.build import build_networks

    return build_networks(small_dataset)


@pytest.fixture(scope="session")
def real_data():
    """Folder of the public benchmark data; the test is skipped, with the reason,
    where there is none.
    """
    name = os.environ.get("MIRNAGRAPH_DATA")
    if not name:
        pytest.skip("MIRNAGRAPH_DATA is not set: the public benchmark data is not here")
    folder = Path(name).resolve()
    if not folder.is_dir():
        pytest.skip(f"MIRNAGRAPH_DATA names {folder}, which is not a folder")
    return folder


@pytest.fixture
def run_dir(tmp_path):
    """A folder name for a run, not yet made."""
    return tmp_path / "runs" / "test"


@pytest.fixture
def in_empty_folder(tmp_path, monkeypatch):
    """Work in an empty folder, so that nothing is written into the source tree."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
