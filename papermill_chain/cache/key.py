"""What a result is known by in a cache, and which stages have results that can be shared."""

import hashlib
import json
import platform
from functools import cache
from typing import Any

from papermill_chain.chain.notebooks import Notebook
from papermill_chain.chain.stages import Stage
from papermill_chain.chain.staleness import rests_on
from papermill_chain.runs.manifest import StageRun

FORMAT = 1  # of keys and entries; another one is another cache
OWN_KERNEL = "python3"  # Jupyter's name of the kernel that has the runner's own Python


def key_of(record: StageRun) -> str:
    """The name of a stage's result, from all that it rests on; the same on every machine.

    It is a hash of what the check for being up to date compares, and beside that of what only
    differs between machines: system and processor, and where no uv.lock names the versions of
    libraries, those that are installed.
    """
    return hashlib.sha256(
        canonical(
            {
                "format": FORMAT,
                "stage": record.name,
                "rests on": rests_on(record),
                "machine": [platform.system(), platform.machine()],
                "packages": {} if record.basis["lock"] else _installed(),
            }
        )
    ).hexdigest()


def canonical(value: Any) -> bytes:
    """A value as JSON that is the same for all who write it."""
    plain = json.loads(json.dumps(value, default=str))  # all keys are texts, which can be sorted
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()


def why_not_shared(stage: Stage, notebook: Notebook) -> str:
    """Why a stage's result is never taken from a cache or put there; "" if it can be.

    What a notebook does outside of the files that it writes would not be done, or was done
    elsewhere to another store.
    """
    if any(vars(stage.external).values()):
        return "writes outside"
    if changed := [path for name, path in stage.in_place.items() if name not in stage.scratch]:
        return f"changes {changed[0]} in place"
    if stage.secrets:
        return "is handed a secret"
    if notebook.kernel != OWN_KERNEL:
        return f"its kernel {notebook.kernel} has libraries of its own"
    return ""


@cache  # reading the names of a few hundred packages takes a moment
def _installed() -> dict[str, str]:
    """The version of each installed package."""
    from importlib.metadata import distributions  # late: it takes a while

    return {each.name: each.version for each in distributions()}
