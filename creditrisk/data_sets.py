"""Data sets: a folder with a ``datapackage.json`` each, and where its training, runs and models go.

The data set of ``data/raw`` has ``data/training``, ``experiments`` and ``models`` to itself; each
other one has a folder of its own in these, named after its descriptor.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from creditrisk.data.contract import Contract, ContractError, Json
from creditrisk.data.descriptor import parse_contract, read_contract
from creditrisk.data.json_files import write_json
from creditrisk.data.raw_files.download import is_url
from creditrisk.data.raw_files.files import raw_files

DESCRIPTOR = "datapackage.json"
DEFAULT = "data/raw"  # below the checkout

#: Folders that the runs of the default data set have in ``experiments``.
_TAKEN = ("runs", "grids", "comparisons", "unfinished", "decisions")
_LONGEST_NAME = 80
_RECORD = "data_set.json"


@dataclass(frozen=True)
class DataSet:
    """One data set; its paths are below the checkout, or whole if they lead out of it."""

    folder: str
    name: str  # empty for the default one
    contract: Contract

    @property
    def descriptor(self) -> str:
        """The descriptor's path."""
        return f"{self.folder}/{DESCRIPTOR}"

    @property
    def model(self) -> str:
        """The name of its models in the registry."""
        return self.contract.model_name

    @property
    def training(self) -> str:
        """The folder of its training and test sets."""
        return _below("data/training", self.name)

    @property
    def experiments(self) -> str:
        """The folder of its runs and their results."""
        return _below("experiments", self.name)

    @property
    def refreshed(self) -> str:
        """The folder of its data and matured outcomes together."""
        return _below("data/refreshed", self.name)

    @property
    def decisions(self) -> str:
        """The folder of the logs of decisions, unless servers are given another one."""
        return f"{self.experiments}/decisions"

    @property
    def models(self) -> str:
        """The folder of the model that it has registered last."""
        return _below("models", self.name)

    def files(self, root: Path) -> list[str]:
        """The files that its descriptor names, as they are now; URLs are not among them.

        Raises
        ------
        ContractError
            If one is not there.
        """
        descriptor = root / self.descriptor
        places = [file.place for file in raw_files(descriptor, self.contract)]
        local = [place for place in places if not is_url(place)]
        missing = [place for place in local if not Path(place).exists()]
        if missing:
            problems = [f"names {Path(place).name}, which is not there" for place in missing]
            remedy = f"put it into {descriptor.parent}, or correct the table's path"
            raise ContractError(str(descriptor), problems, remedy)
        return [_from(root, Path(place)) for place in local]

    def read_first(self, root: Path) -> tuple[str, tuple[str, ...]]:
        """The file that the chain reads its data by, and others that this one leads to.

        A single file is read itself; of several, and of none that lies here, the descriptor says
        which they are.

        Raises
        ------
        ContractError
            As :meth:`files`.
        """
        files = self.files(root)
        return (files[0], ()) if len(files) == 1 else (self.descriptor, tuple(files))


def data_set(root: Path, folder: str | Path) -> DataSet:
    """The data set of a folder.

    Parameters
    ----------
    root
        The checkout, where outputs go.
    folder
        Where file and descriptor are, from the current folder.

    Raises
    ------
    ContractError
        If there is no descriptor, it cannot be read, has open questions, or its name cannot be
        that of a folder for outputs.
    """
    place = Path(os.path.abspath(folder))
    if not (place / DESCRIPTOR).is_file():
        problem = f"has no {DESCRIPTOR}" if place.is_dir() else "is no folder"
        remedy = (
            f"give a folder with a file and its {DESCRIPTOR}, which "
            "creditrisk contract draft FILE --target COLUMN writes"
        )
        raise ContractError(str(folder), [problem], remedy)
    contract = read_contract(Path(folder, DESCRIPTOR))
    inside = _from(root, place)
    return DataSet(inside, "" if inside == DEFAULT else _name(contract, folder), contract)


def default_data_set(root: Path) -> DataSet | None:
    """The data set of ``data/raw``; None if its contract cannot be read, as on a server."""
    try:
        return data_set(root, root / DEFAULT)
    except ContractError:
        return None


def served_data_set(root: Path, folder: str | Path) -> DataSet:
    """The data set of a folder, which may also be that of its models in the checkout.

    Raises
    ------
    ContractError
        As :func:`data_set`, or if the models' manifest cannot be read.
    """
    place, models = Path(os.path.abspath(folder)), Path(os.path.abspath(root / "models"))
    manifest = place / "manifest.json"
    if (
        (place / DESCRIPTOR).exists()
        or not manifest.is_file()
        or models
        not in (
            place,
            place.parent,
        )
    ):
        return data_set(root, folder)
    try:
        package = json.loads(manifest.read_text("utf-8"))["contract"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        remedy = "run the chain again, or give the folder of the data"
        raise ContractError(str(manifest), ["holds no contract"], remedy) from error
    contract = parse_contract(package, f"the contract in {manifest}")
    return DataSet(_from(root, place), "" if place == models else place.name, contract)


def refuse_confusion(asked: DataSet, root: Path) -> None:
    """Refuse a data set that would share results or models with another one.

    Raises
    ------
    ContractError
        If another data set, with other columns or another target, has the same name for its folder
        of outputs or for its models.
    """
    for other in _known(root):
        if other["folder"] == asked.folder or other["signature"] == asked.contract.signature:
            continue
        theirs = f"{other['folder']}/{DESCRIPTOR}"
        problems = []
        if other["name"] == asked.name:
            problems.append(
                f"results would go to {asked.experiments}/, where those of {theirs} are"
            )
        if other["model"] == asked.model:
            problems.append(f"its models would be named {asked.model}, as those of {theirs} are")
        if problems:
            words = '"name"' if other["name"] == asked.name else '"modelName"'
            remedy = f"give one of the two contracts another {words}"
            raise ContractError(asked.descriptor, problems, remedy)


def whose_name(name: str, folder: str | Path, root: Path) -> str:
    """The folder of another data set with results under a name; empty if the name is free."""
    mine = _from(root, Path(os.path.abspath(folder)))
    named = _folder_name(name)
    others = (each for each in _known(root) if each["folder"] != mine)
    return next((each["folder"] for each in others if each["name"] == named), "")


def record(data: DataSet, root: Path) -> None:
    """Note beside its runs whose they are; of the default data set its descriptor says so."""
    if data.name:
        place = root / data.experiments / _RECORD
        place.parent.mkdir(parents=True, exist_ok=True)
        write_json(place, _noted(data))


def _known(root: Path) -> list[Json]:
    """The data sets whose results are in a checkout, with the default one."""
    found = []
    for place in sorted((root / "experiments").glob(f"*/{_RECORD}")):
        try:
            known = json.loads(place.read_text("utf-8"))
            names = ("folder", "name", "model", "signature")
            found.append({name: known[name] for name in names})
        except (OSError, ValueError, KeyError, TypeError):
            continue  # whoever damaged it has only their own names to lose
    default = default_data_set(root)  # if it is broken, the chain has the words for that
    return [*found, _noted(default)] if default else found


def _noted(data: DataSet) -> Json:
    names = {"folder": data.folder, "name": data.name, "model": data.model}
    return names | {"signature": data.contract.signature}


def _name(contract: Contract, folder: str | Path) -> str:
    """The name of a data set's folders."""
    named = str(contract.package.get("name") or contract.title)
    name = _folder_name(named)
    if not name or name in _TAKEN or len(name) > _LONGEST_NAME:
        remedy = 'give the package another "name", such as "loans-2024"'
        problem = f"its name, {named[:_LONGEST_NAME]!r}, cannot be that of a folder of results"
        raise ContractError(str(Path(folder, DESCRIPTOR)), [problem], remedy)
    return name


def _folder_name(named: str) -> str:
    return re.sub("[^A-Za-z0-9_-]+", "_", named).strip("_").lower()


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if name else folder


def _from(root: Path, place: Path) -> str:
    """A path below the checkout, or the whole one."""
    for top in (root, root.resolve()):
        if place.is_relative_to(top):
            return place.relative_to(top).as_posix()
    return place.as_posix()
