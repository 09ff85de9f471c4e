"""A chain as a graph: its stages in layers, the files between them, and which arrows say it all."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from posixpath import normpath

from papermill_chain.runs.manifest import StageRun


@dataclass(frozen=True)
class Inputs:
    """Files that no stage makes, and the stages that an arrow leads to from them."""

    paths: tuple[str, ...]
    readers: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """The stages of a chain and what they hand on.

    `arrows` and `inputs` leave out what a longer way says already: from a file to a stage that also
    reads what another made of it. All that a stage reads is in `reads`.
    """

    stages: Mapping[str, StageRun]  # in order
    reads: Mapping[str, Mapping[str, str]]  # stage: path: the stage that makes it, or ""
    writes: Mapping[str, Sequence[str]]  # stage: paths
    layers: Sequence[Sequence[str]]  # stages, each in a later layer than all it reads from
    arrows: Sequence[tuple[str, str]]  # from a stage to one that reads from it
    inputs: Sequence[Inputs]

    def makers(self, stage: str) -> list[str]:
        """The stages that a stage reads from, in the order of the chain."""
        found = set(self.reads[stage].values())
        return [name for name in self.stages if name in found]


def graph_of(stages: Iterable[StageRun]) -> Graph:
    """The graph of stages as a plan or a run has them.

    A run of an earlier version has recorded only what its stages did read and write. A damaged
    one may have recorded a circle: it is drawn somehow, and breaks nothing.
    """
    by_name = {stage.name: stage for stage in stages}
    writes = {name: _normal(stage.outputs or stage.writes) for name, stage in by_name.items()}
    maker = {path: name for name, paths in writes.items() for path in paths}
    reads = {
        name: {
            path: _other(maker.get(path, ""), name) for path in _normal(stage.inputs or stage.reads)
        }
        for name, stage in by_name.items()
    }
    before = {name: list(dict.fromkeys(filter(None, of.values()))) for name, of in reads.items()}
    behind = {name: _behind(name, before) for name in by_name}
    return Graph(
        by_name,
        reads,
        writes,
        layers=_layers(before),
        arrows=[
            (earlier, name)
            for name, makers in before.items()
            for earlier in makers
            if not any(earlier in behind[other] for other in makers if other != earlier)
        ],
        inputs=_inputs(reads, behind),
    )


def _other(maker: str, stage: str) -> str:
    """The maker of a file that a stage reads; itself it cannot be."""
    return "" if maker == stage else maker


def _normal(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(normpath(path) for path in paths))


def _behind(name: str, before: Mapping[str, Sequence[str]]) -> set[str]:
    """All stages that a stage reads from, over others too."""
    found, waiting = set[str](), list(before[name])
    while waiting:
        if (earlier := waiting.pop()) not in found:
            found.add(earlier)
            waiting += before[earlier]
    return found - {name}


def _layers(before: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The stages by the longest way that leads to them."""
    depth = dict.fromkeys(before, 0)
    for _ in before:  # no way is longer
        for name, makers in before.items():
            depth[name] = max((depth[maker] + 1 for maker in makers), default=0)
    return [
        [name for name in before if depth[name] == layer] for layer in sorted(set(depth.values()))
    ]


def _inputs(reads: Mapping[str, Mapping[str, str]], behind: Mapping[str, set[str]]) -> list[Inputs]:
    """The files from outside, those together that go to the same stages."""
    readers: dict[str, list[str]] = {}
    for name, files in reads.items():
        for path, maker in files.items():
            if not maker:
                readers.setdefault(path, []).append(name)
    together: dict[tuple[str, ...], list[str]] = {}
    for path, names in readers.items():
        first = tuple(name for name in names if not behind[name] & set(names)) or tuple(names)
        together.setdefault(first, []).append(path)
    return [Inputs(tuple(paths), names) for names, paths in together.items()]
