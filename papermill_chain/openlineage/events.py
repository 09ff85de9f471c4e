"""The form of OpenLineage's events, as its specification 2-0-2 has it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from os.path import abspath
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

Json: TypeAlias = dict[str, Any]

PRODUCER = "urn:papermill-chain"
SPEC = "https://openlineage.io/spec"
EVENT = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"


@dataclass
class JobRun:
    """One run of a job: the chain, or one of its stages."""

    name: str
    namespace: str
    description: str
    kind: str  # CHAIN or NOTEBOOK
    chain_run: str  # the id that the chain's own records have
    parent: "JobRun | None" = None
    id: str = field(default_factory=lambda: str(uuid4()))

    @property
    def run(self) -> Json:
        return {"runId": self.id}

    @property
    def job(self) -> Json:
        return {"namespace": self.namespace, "name": self.name}

    def event(
        self,
        state: str,
        inputs: Iterable[Json] = (),
        outputs: Iterable[Json] = (),
        error: str = "",
        language: str = "python",
    ) -> Json:
        """What has become of the run: START, COMPLETE, FAIL or ABORT."""
        engine = {"name": "papermill", "version": version("papermill")}
        tag = {"key": "run", "value": self.chain_run, "source": "INTEGRATION"}
        facets = {
            "processing_engine": _facet("1-1-1", "ProcessingEngineRunFacet", engine),
            "tags": _facet("1-0-0", "TagsRunFacet", {"tags": [tag]}),
        }
        if self.parent:
            above = {"run": self.parent.run, "job": self.parent.job}
            facets["parent"] = _facet("1-2-0", "ParentRunFacet", above)
        if error:
            message = {"message": error, "programmingLanguage": language}
            facets["errorMessage"] = _facet("1-0-1", "ErrorMessageRunFacet", message)
        return {
            "eventType": state,
            "eventTime": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "run": self.run | {"facets": facets},
            "job": self.job | {"facets": self._job_facets()},
            "inputs": list(inputs),
            "outputs": list(outputs),
            "producer": PRODUCER,
            "schemaURL": EVENT,
        }

    def _job_facets(self) -> Json:
        kind = {"processingType": "BATCH", "integration": "PAPERMILL_CHAIN", "jobType": self.kind}
        described = {"description": self.description}
        return {
            "jobType": _facet("2-0-4", "JobTypeJobFacet", kind),
            "documentation": _facet("1-1-0", "DocumentationJobFacet", described),
        }


def datasets(paths: Iterable[str], root: Path) -> list[Json]:
    """Files of which only the paths are known, below the root."""
    return [_dataset(path, root) for path in paths]


def inputs_of(hashes: Mapping[str, str], root: Path) -> list[Json]:
    """Files that were read; their version is the hash of their content."""
    return [_dataset(path, root, hash) for path, hash in hashes.items()]


def outputs_of(hashes: Mapping[str, str], sizes: Mapping[str, int], root: Path) -> list[Json]:
    """Files that were written, with their size in bytes."""
    found = []
    for path, hash in hashes.items():
        dataset = _dataset(path, root, hash)
        if path in sizes:
            size = {"size": sizes[path], "fileCount": 1}
            facet = _facet("1-0-2", "OutputStatisticsOutputDatasetFacet", size)
            dataset["outputFacets"] = {"outputStatistics": facet}
        found.append(dataset)
    return found


def _dataset(path: str, root: Path, hash: str = "") -> Json:
    """A file of this machine, by the standard's names: `file` and the whole path."""
    dataset: Json = {"namespace": "file", "name": Path(abspath(root / path)).as_posix()}
    if hash:
        facet = _facet("1-0-1", "DatasetVersionDatasetFacet", {"datasetVersion": f"sha256:{hash}"})
        dataset["facets"] = {"version": facet}
    return dataset


def _facet(number: str, name: str, content: Json) -> Json:
    schema = f"{SPEC}/facets/{number}/{name}.json#/$defs/{name}"
    return {"_producer": PRODUCER, "_schemaURL": schema} | content
