"""Where everything of a chain's picture goes: layers from left to right, arrows between them.

Boxes stand in columns. An arrow that passes a column goes through a lane of its own there, so that
it crosses no box. A template turns the picture into SVG.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePosixPath
from statistics import fmean
from unicodedata import east_asian_width

from papermill_chain.lineage.graph import Graph, Inputs, graph_of
from papermill_chain.runs.manifest import StageRun

LETTER = 6.7  # pixels, the mean width of a letter of 12 pixels
LANE = 12  # pixels, the height of what only passes a column
MARGIN = 10
MOST_NAMES = 3  # files that are named, of those that stand together


@dataclass(frozen=True)
class Sizes:
    """How much room a picture takes, in pixels."""

    width: int  # of a box
    stage: int  # its height
    file: int  # the height of the line below it with its files; 0 for none
    across: int  # between columns
    down: int  # between boxes
    below: int  # the lowest box


LARGE = Sizes(width=178, stage=62, file=22, across=30, down=20, below=MARGIN)
SMALL = Sizes(width=128, stage=28, file=0, across=30, down=18, below=20)


@dataclass(frozen=True)
class Box:
    """A stage, or files from outside, in its place."""

    x: float
    y: float
    height: float
    stage: StageRun | None = None
    lines: Sequence[str] = ()  # what stands in it, as far as there is room
    files: str = ""  # the line below a stage: what it writes
    about: str = ""  # all of it, for who points at it


@dataclass(frozen=True)
class Picture:
    """All that a template draws."""

    width: float
    height: float
    boxes: Sequence[Box]
    arrows: Sequence[str]  # as the paths of SVG are written
    sizes: Sizes


@dataclass
class Item:
    """What has a place in a column: a stage, files from outside, or an arrow that passes."""

    height: float
    name: str = ""  # of a stage
    inputs: Inputs | None = None
    sources: list["Item"] = field(default_factory=list)  # in the column before
    y: float = 0.0

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def picture_of(graph: Graph, about: Mapping[str, Sequence[str]], sizes: Sizes = LARGE) -> Picture:
    """The picture of a chain; `about` are the lines in each stage's box below its name."""
    columns = _columns(graph, sizes)
    _place(columns, sizes)
    at = {id(item): number for number, column in enumerate(columns) for item in column}
    step = sizes.width + sizes.across
    boxes, arrows = list[Box](), list[str]()
    for number, column in enumerate(columns):
        x = MARGIN + number * step
        for item in column:
            if item.name or item.inputs:
                boxes.append(_box(graph, item, x, about, sizes))
                arrows += [_arrow(item, source, at, sizes) for source in item.sources]
    height = max(item.y + item.height for column in columns for item in column)
    width = 2 * MARGIN + len(columns) * step - sizes.across
    return Picture(width, height + sizes.below, boxes, arrows, sizes)


def form_of(stages: Sequence[StageRun]) -> Picture | None:
    """The small picture of a chain's stages; of one alone there is none.

    It shows no states: a report is written before those of the stages that follow are known.
    """
    if len(stages) < 2:
        return None
    return picture_of(graph_of(stages), {stage.name: () for stage in stages}, SMALL)


def _columns(graph: Graph, sizes: Sizes) -> list[list[Item]]:
    """The items of each column, with what an arrow leads to them from."""
    stages = {name: Item(sizes.stage + sizes.file, name) for name in graph.stages}
    columns = [[stages[name] for name in layer] for layer in graph.layers]
    inputs = [(group, Item(_height(group), inputs=group)) for group in graph.inputs if sizes.file]
    if inputs:
        columns.insert(0, [item for _, item in inputs])
    at = {id(item): number for number, column in enumerate(columns) for item in column}
    arrows = [(stages[earlier], stages[later]) for earlier, later in graph.arrows]
    arrows += [(item, stages[name]) for group, item in inputs for name in group.readers]
    for source, target in arrows:
        for column in range(at[id(source)] + 1, at[id(target)]):
            lane = Item(LANE, sources=[source])
            columns[column].append(lane)
            source = lane
        target.sources.append(source)
    return columns


def _height(group: Inputs) -> float:
    """The height of files from outside: a line for each name."""
    return 10 + 16 * min(len(group.paths), MOST_NAMES + 1)


def _place(columns: Sequence[list[Item]], sizes: Sizes) -> None:
    """Give every item its height in the column: near to what leads to it, the column centred."""
    tall = max(_total(column, sizes) for column in columns)
    for column in columns:
        order = {id(item): number for number, item in enumerate(column)}
        column.sort(key=lambda item: (_wanted(item), order[id(item)]))
        y = MARGIN + (tall - _total(column, sizes)) / 2
        for item in column:
            item.y = y
            y += item.height + sizes.down


def _wanted(item: Item) -> float:
    return fmean(source.middle for source in item.sources) if item.sources else 0.0


def _total(column: Sequence[Item], sizes: Sizes) -> float:
    return sum(item.height + sizes.down for item in column) - sizes.down


def _box(
    graph: Graph, item: Item, x: float, about: Mapping[str, Sequence[str]], sizes: Sizes
) -> Box:
    if item.inputs:
        names = [PurePosixPath(path).name for path in item.inputs.paths]
        shown = names[:MOST_NAMES] + (["…"] if len(names) > MOST_NAMES else [])
        lines = [_short(name, sizes.width) for name in shown]
        return Box(x, item.y, item.height, None, lines, about=", ".join(item.inputs.paths))
    lines = [_short(text, sizes.width) for text in about[item.name]]
    lines.insert(0, _short(item.name, 0.9 * sizes.width))  # in bold letters, which are wider
    writes = graph.writes[item.name] if sizes.file else ()
    return Box(
        x,
        item.y,
        sizes.stage,
        graph.stages[item.name],
        lines,
        _named(writes, sizes.width),
        described(graph, item.name),
    )


def described(graph: Graph, name: str) -> str:
    """What a stage reads, from whom, and writes."""
    stage, sentences = graph.stages[name], list[str]()
    from_outside = [path for path, maker in graph.reads[name].items() if not maker]
    if from_outside:
        sentences.append(f"reads {_list(from_outside)}")
    for maker in graph.makers(name):
        paths = [path for path, of in graph.reads[name].items() if of == maker]
        sentences.append(f"reads {_list(paths)} of {maker}")
    if graph.writes[name]:
        sentences.append(f"writes {_list(graph.writes[name])}")
    return f"{stage.title}: {'; '.join(sentences)}" if sentences else stage.title


def _list(paths: Sequence[str]) -> str:
    return ", ".join(PurePosixPath(path).name for path in paths)


def _named(paths: Sequence[str], width: float) -> str:
    """Some files in one line: the first by name, and how many more there are."""
    if not paths:
        return ""
    more = f" +{len(paths) - 1}" if len(paths) > 1 else ""
    return _short(PurePosixPath(paths[0]).name, width - len(more) * LETTER) + more


def _short(text: str, width: float) -> str:
    """A text that fits into a box."""
    room = (width - 14) / LETTER
    if sum(map(_letters, text)) <= room:
        return text
    while text and sum(map(_letters, text)) > room - 1:
        text = text[:-1]
    return f"{text.rstrip()}…"


def _letters(character: str) -> int:
    return 2 if east_asian_width(character) in "WF" else 1


def _arrow(item: Item, source: Item, at: Mapping[int, int], sizes: Sizes) -> str:
    """The way from where an arrow begins, through its lanes, to a box."""
    step, way = sizes.width + sizes.across, [item]
    while not (source.name or source.inputs):
        way.append(source)
        source = source.sources[0]
    way = [source, *reversed(way)]
    heights = {id(each): _middle(each, sizes) for each in way}
    x = MARGIN + at[id(source)] * step + sizes.width
    path = [f"M{x:.0f} {heights[id(source)]:.0f}"]
    for earlier, later in pairwise(way):
        end, half = x + sizes.across, sizes.across / 2
        y, before = heights[id(later)], heights[id(earlier)]
        path.append(f"C{x + half:.0f} {before:.0f} {end - half:.0f} {y:.0f} {end:.0f} {y:.0f}")
        if later is not item:
            path.append(f"H{end + sizes.width:.0f}")
        x = end + sizes.width
    return "".join(path)


def _middle(item: Item, sizes: Sizes) -> float:
    """Where arrows meet an item: the middle of its box, without the line of files below."""
    return item.y + (sizes.stage if item.name else item.height) / 2
