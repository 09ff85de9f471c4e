"""Fixtures that tests of several folders share."""

import pytest
from conftest import ROOT
from gridproject import grid_project, nothing_left

__all__ = ["grid_project", "nothing_left", "real"]


@pytest.fixture(scope="module")
def real():
    # late: tests of the runner alone do without scikit-learn, and so does whoever hands out tests
    from creditrisk.data.descriptor import read_contract
    from creditrisk.data.encoding import encoder, target
    from creditrisk.data.raw_files.reading import read_raw

    contract = read_contract(ROOT / "data/raw/datapackage.json")
    frame = read_raw(ROOT / "data/raw/german_credit_data.csv", contract)
    return contract, encoder(contract).transform(frame), target(frame, contract)
