"""What a good run leaves in `lineage.json`: of each file its content, who made it, who read it."""

from collections.abc import Iterable, Mapping
from typing import Any

from papermill_chain.runs.manifest import GOOD, Run, StageRun, write_json

FILE = "lineage.json"
EXTERNAL = "external input"


def write_lineage(run: Run, last: Mapping[str, StageRun]) -> None:
    """Write the file into the run's folder, whole or not at all.

    Parameters
    ----------
    last : the last success of each stage, also of those that this run has left out.
    """
    files = files_of(run.stages, last.values())
    write_json(run.folder / FILE, {"chain": run.title, "run": run.id, "files": files})


def files_of(stages: Iterable[StageRun], others: Iterable[StageRun]) -> list[dict[str, Any]]:
    """The files that stages of a run have read or written, in alphabetical order.

    A file that changed while the run went on is there once for each content. A content that none of
    these stages or `others` has made comes from outside, whatever its path.
    """
    good = [stage for stage in stages if stage.status in GOOD]
    maker = {made: stage for stage in [*others, *good] for made in stage.writes.items()}
    sizes: dict[tuple[str, str], int | None] = {}
    for stage in good:
        for content in [*stage.reads.items(), *stage.writes.items()]:
            sizes[content] = stage.sizes.get(content[0], sizes.get(content))
    return [
        {
            "path": path,
            "sha256": hash,
            "bytes": sizes[path, hash],
            "made_by": _who(maker[path, hash]) if (path, hash) in maker else EXTERNAL,
            "read_by": [_who(stage) for stage in good if stage.reads.get(path) == hash],
        }
        for path, hash in sorted(sizes)
    ]


def _who(stage: StageRun) -> dict[str, str | None]:
    return {"stage": stage.name, "run": stage.run}
