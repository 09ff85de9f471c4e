"""Fixtures that tests of several folders share."""

import os
import shutil
import warnings
from pathlib import Path

import pytest
from conftest import ROOT, only_one
from gridproject import grid_project, nothing_left
from toy import make, run

__all__ = ["empty_store", "good_toy", "grid_project", "nothing_left", "real", "toy_that_has_run"]


@pytest.fixture(scope="module")
def real():
    # late: tests of the runner alone do without scikit-learn, and so does whoever hands out tests
    from creditrisk.data.descriptor import read_contract
    from creditrisk.data.encoding import encoder, target
    from creditrisk.data.raw_files.reading import read_raw

    contract = read_contract(ROOT / "data/raw/datapackage.json")
    frame = read_raw(ROOT / "data/raw/german_credit_data.csv", contract)
    return contract, encoder(contract).transform(frame), target(frame, contract)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory, worker_id) -> Path:
    """A store of MLflow's with its tables and nothing in them, of which each test takes a copy.

    To make one takes longer than most of what is tested with it: whichever worker needs it first
    makes it, for the others too. That ours is made where there is none is proven by the chain.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" or os.name == "nt" else base.parent
    made, store = shared / "made.db", shared / "empty.db"
    with only_one(shared / "empty.lock"), warnings.catch_warnings():
        if not store.exists():
            warnings.simplefilter("ignore")
            from mlflow import MlflowClient

            MlflowClient(f"sqlite:///{made}").search_registered_models(max_results=1)
            shutil.copy(made, store)
    return store


@pytest.fixture(scope="session")
def good_toy(tmp_path_factory, worker_id) -> Path:
    """A folder with the toy project, whose chain has run once, and its registry beside it.

    Whichever worker needs it first runs the chain, for the others too; all take copies.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" or os.name == "nt" else base.parent
    making, made = shared / "toy being made", shared / "toy"
    with only_one(shared / "toy.lock"):
        if not made.exists():
            making.mkdir()
            assert run(make(making / "project"), "--quiet") == 0
            making.rename(made)
    return made


@pytest.fixture(scope="module")
def toy_that_has_run(good_toy, tmp_path_factory) -> Path:
    """A toy project of a module's own whose chain has run once."""
    return shutil.copytree(good_toy, tmp_path_factory.mktemp("toy") / "copy") / "project"
