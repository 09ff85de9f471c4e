"""The combinations of parameters that a grid is asked to run."""

import json
import os
import re
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import product
from pathlib import Path
from posixpath import isabs, normpath
from typing import Any

from papermill_chain.chain.notebooks import notebook_path
from papermill_chain.chain.parameters import ChainError
from papermill_chain.chain.plan import Plan
from papermill_chain.chain.settings import named
from papermill_chain.chain.stages import writers
from papermill_chain.runs.figures import Figure
from papermill_chain.runs.files import relative
from papermill_chain.runs.records import last_good
from papermill_chain.started import command, repeated

MANY = 200  # combinations; more of them need --yes
MOST = 100_000  # values of one range
#: Options that each chain gets as they are.
HANDED_ON = ("cell_timeout", "max_output", "max_notebook", "max_page", "cache", "keep")
RANGE = re.compile(r"([-+]?\d+)\.\.([-+]?\d+)(?:\.\.(\d+))?")


@dataclass
class Result:
    """What became of one combination; `report` and `index` are paths below its workspace."""

    status: str = "not run"
    seconds: float | None = None
    run: str | None = None
    figures: dict[str, Figure] = field(default_factory=dict)
    error: str = ""
    report: str | None = None
    index: str | None = None


@dataclass
class Combination:
    """One of the grid's runs: its parameters as typed, and what became of it."""

    number: int
    folder: str  # its workspace, below that of the grid
    parameters: dict[str, str]  # those that differ between combinations
    settings: dict[str, str]  # all that are set
    result: Result = field(default_factory=Result)
    values: dict[str, Any] = field(default_factory=dict)  # the parameters, as notebooks get them

    @property
    def label(self) -> str:
        """How it is called where it is shown."""
        return " ".join(f"{name}={value}" for name, value in self.parameters.items())


@dataclass
class Grid:
    """What is to be run, and how."""

    root: Path
    id: str
    title: str
    script: str  # the program that runs the chain, below the root
    files: dict[str, Path]  # what a workspace holds, by paths below it
    combinations: list[Combination]
    fixed: dict[str, str]  # what is set alike for all
    command: str  # that goes on with it
    jobs: int  # chains side by side
    options: list[str]  # for each chain
    shared: Sequence[str]  # variables that point to stores which are not for a grid
    expected: float | None  # seconds of one combination, from the checkout's last results
    scheduler: str | None = None  # of the cluster whose workers run the chains, if not this machine
    trouble: str = ""  # why the whole of it came to no end
    experiments: str = "experiments"  # where the checkout, and each workspace, keeps its runs

    @property
    def folder(self) -> Path:
        """Where all files of the grid are."""
        return self.root / self.experiments / "grids" / self.id

    @property
    def page(self) -> Path:
        """The page that compares the combinations."""
        return self.folder / "index.html"

    @property
    def source(self) -> Path:
        """The copy of the chain that all workspaces share."""
        return self.folder / "source"


def grid_of(
    asked: Namespace,
    plan_for: Callable[[Namespace], Plan],
    shared: Sequence[str],
    scheduler: str | None = None,
) -> Grid:
    """The grid that a command line asks for; ChainError if it cannot be meant."""
    if asked.only or asked.start:
        raise ChainError("a grid runs the whole chain; --only and --from do not go with --grid")
    values = _values(asked.grid)
    total = 1
    for several in values.values():
        total *= len(several)
    if total > MANY and not asked.yes:
        raise ChainError(f"{total} combinations are more than {MANY}; add --yes to run them all")
    fixed = dict(pair.partition("=")[::2] for pair in asked.set)
    if both := sorted(values.keys() & fixed.keys()):
        raise ChainError(f"{both[0]} is in --set as well as in --grid")
    from_files = _from_files(plan_for(Namespace(**vars(asked) | {"set": []})), asked)
    combinations = []
    labels: dict[str, str] = {}  # by what notebooks get
    for number, texts in enumerate(product(*values.values()), start=1):
        parameters = dict(zip(values, texts, strict=True))
        pairs = [*asked.set, *(f"{name}={text}" for name, text in parameters.items())]
        plan = plan_for(Namespace(**vars(asked) | {"set": pairs}))
        given = {name: _given(plan, name) for name in values}
        same = json.dumps(given, default=str)
        if same in labels:
            raise ChainError(f"--grid asks twice for {labels[same]}")
        settings = _with_whole_paths(plan, fixed | parameters)
        folder = str(number).zfill(len(str(total)))
        one = Combination(number, folder, parameters, settings, values=given)
        combinations.append(one)
        labels[same] = one.label
    return Grid(
        plan.root,
        _id_of(values, fixed, from_files),
        plan.title,
        script := _script(plan.root),
        _files(plan, script),
        combinations,
        fixed,
        _command(asked),
        asked.grid_jobs,
        [*repeated(), *_options(asked), *from_files],
        shared,
        _expected(plan),
        scheduler,
        experiments=plan.experiments_path,
    )


def _given(plan: Plan, name: str) -> Any:
    """The value that notebooks get of a parameter of the grid, perhaps of one stage alone."""
    stage, parameter = named(name, plan.stages)
    return plan.settings[stage][parameter] if stage else plan.given[parameter]


def _values(specifications: Iterable[str]) -> dict[str, list[str]]:
    """The values that each parameter takes in turn, as typed."""
    values = {}
    for specification in specifications:
        name, equals, texts = specification.partition("=")
        if not equals:
            raise ChainError(f"--grid takes NAME=1..10 or NAME=A,B,C, not {specification}")
        if name in values:
            raise ChainError(f"{name} is twice in --grid; list all its values once")
        values[name] = [value for text in texts.split(",") for value in _spread(name, text.strip())]
    return values


def _spread(name: str, text: str) -> list[str]:
    """The whole numbers of a range, such as 1..10 or 0..100..25, with both ends; else the text."""
    if not (match := RANGE.fullmatch(text)):
        return [text]
    first, last, step = int(match[1]), int(match[2]), int(match[3] or 1)
    if first > last or step == 0:
        raise ChainError(f"{name}={text} is an empty range; it goes up, as in 1..10 or 0..100..25")
    if (last - first) // step >= MOST:
        raise ChainError(f"{name}={text} has more than {MOST:,} values")
    return [str(number) for number in range(first, last + 1, step)]


def _with_whole_paths(plan: Plan, settings: Mapping[str, str]) -> dict[str, str]:
    """The same settings for any folder: files are named by their whole paths."""
    files = {name for stage in plan.stages for name in stage.reads}
    return {
        name: str(Path(text).absolute()) if name.rpartition(".")[2] in files else text
        for name, text in settings.items()
    }


def _from_files(plan: Plan, asked: Namespace) -> list[str]:
    """The arguments that give any chain what files give this one; files by their whole paths.

    Parameters
    ----------
    plan : of what files give, and nothing else.
    """
    if not (asked.params or asked.params_yaml):
        return []
    folder = plan.root / "notebooks"
    handed = {
        stage.name: {
            name: os.path.normpath(folder / value) if name in stage.reads else value
            for name, value in plan.settings[stage.name].items()
        }
        for stage in plan.stages
    }
    return ["--params-yaml", json.dumps(handed)]


def _id_of(
    values: Mapping[str, Sequence[str]], fixed: Mapping[str, str], from_files: Sequence[str]
) -> str:
    """A name for a request that it alone has: its parameters, and a few digits of its hash."""
    asked = json.dumps([list(values.items()), sorted(fixed.items()), *from_files])
    names = re.sub(r"\W+", "-", "-".join(values))[:40]
    return f"{names}-{sha256(asked.encode()).hexdigest()[:8]}"


def _script(root: Path) -> str:
    """The program that is running, which each workspace gets a copy of."""
    program = Path(sys.argv[0]).resolve()
    if not (program.is_file() and program.is_relative_to(root)):
        raise ChainError(
            f"a grid copies the program that runs the chain; {program.name} is not a file in {root}"
        )
    return relative(program, root)


def _files(plan: Plan, script: str) -> dict[str, Path]:
    """What a chain needs: its program and packages, notebooks, and files that no stage writes."""
    root, writer = plan.root, writers(plan.stages)
    home = (root / script).parent
    packages = [init.parent for init in home.glob("*/__init__.py")]
    files = [*home.glob("*.py"), root / "uv.lock", root / "pyproject.toml"]
    files += [file for package in packages for file in package.rglob("*")]
    files += [notebook_path(root, stage.name) for stage in plan.stages]
    for stage in plan.stages:
        for path in map(normpath, [*stage.reads.values(), *stage.files]):
            if path not in writer and path.startswith(".."):
                raise ChainError(f"{stage.name} reads {path}, which a grid cannot copy")
            # what is named by its whole path is read where it is
            files += [root / path] if path not in writer and not isabs(path) else []
    return {
        relative(file, root): file
        for file in files
        if file.is_file() and "__pycache__" not in file.parts
    }


def _command(asked: Namespace) -> str:
    """The command that asks for the same grid."""
    options = [part for each in asked.grid for part in ("--grid", each)]
    options += [part for each in asked.set for part in ("--set", each)]
    options += [part for each in asked.params for part in ("--params", each)]
    options += [part for each in asked.params_yaml for part in ("--params-yaml", each)]
    options += ["--scheduler", asked.scheduler] if asked.scheduler else []
    options += ["--cache", asked.cache] if asked.cache else []
    return command(*options)


def _options(asked: Namespace) -> list[str]:
    """What each chain is asked besides its parameters."""
    named = {name: getattr(asked, name, None) for name in HANDED_ON}
    given = {name: str(value) for name, value in named.items() if value}
    options = [part for k, v in given.items() for part in (f"--{k.replace('_', '-')}", v)]
    return ["--jobs", str(asked.jobs), *options, *(["--force"] if asked.force else [])]


def _expected(plan: Plan) -> float | None:
    """How long the stages took when they last succeeded in the checkout, if all have."""
    last = last_good(plan.experiments)
    records = [last[stage.name] for stage in plan.stages if stage.name in last]
    seconds = [record.seconds for record in records if record.seconds is not None]
    return sum(seconds) if len(seconds) == len(plan.stages) else None
