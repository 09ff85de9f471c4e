"""What can be done to the files of a saved model, with care and without, so that they differ."""

import hashlib
import io
import json
import os
import pickle
import random
import zipfile
from contextlib import contextmanager
from operator import methodcaller
from pathlib import Path

import numpy as np
import skops.io
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from creditrisk.scoring.sources.model_manifest import KEY, sealed

MANIFEST, MLMODEL = "manifest.json", "MLmodel"

Files = dict[str, bytes]


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class Altering:
    """What is done to the files of a model; each way returns files that differ."""

    def __init__(self, canary: Path, pipeline: Pipeline, luck: random.Random):
        self.luck = luck
        self.trap = pickle.dumps(Trap(canary))
        shell = FunctionTransformer(methodcaller("to_csv", str(canary)))
        steps = [("encode", pipeline[0]), ("run", shell), ("decide", pipeline[-1])]
        self.hostile = skops.io.dumps(Pipeline(steps))
        self.code = f"from pathlib import Path\nPath({str(canary)!r}).touch()\n".encode()

    # Bytes of any file

    def bit(self, files: Files) -> Files:
        name, content = self._any(files)
        changed = bytearray(content)
        changed[self.luck.randrange(len(changed))] ^= 1 << self.luck.randrange(8)
        return files | {name: bytes(changed)}

    def short(self, files: Files) -> Files:
        name, content = self._any(files)
        return files | {name: content[: self.luck.randrange(len(content))]}

    def overwritten(self, files: Files) -> Files:
        name, content = self._any(files)
        start = self.luck.randrange(len(content))
        changed = content[:start] + b"\xff\x00" + content[start + self.luck.randrange(64) :]
        return files | {name: changed}

    def pickled(self, files: Files) -> Files:
        name, _ = self._any({n: c for n, c in files.items() if n != MANIFEST})
        return files | {name: self.trap}

    # The skops file, its zip's checksums right

    def numbers(self, files: Files) -> Files:
        """One number of one array is another."""
        name = _skops(files)
        members = _members(files[name])
        arrays = [each for each in members if each.endswith(".npy") and members[each]]
        chosen = self.luck.choice(arrays)
        changed = bytearray(members[chosen])
        changed[self.luck.randrange(len(changed) // 2, len(changed))] ^= 0x55
        return files | {name: _zipped(members | {chosen: bytes(changed)})}

    def nodes(self, files: Files) -> Files:
        """Trees whose children lie outside of them: scikit-learn reads there and may crash."""
        name = _skops(files)
        members = _members(files[name])
        for member, content in members.items():
            if member.endswith(".npy"):
                array = np.load(io.BytesIO(content), allow_pickle=False)
                if "left_child" in (array.dtype.names or ()):
                    array["left_child"] = array["right_child"] = self.luck.randrange(2**20, 2**40)
                    out = io.BytesIO()
                    np.save(out, array)
                    members[member] = out.getvalue()
        return files | {name: _zipped(members)}

    def calls(self, files: Files) -> Files:
        return files | {_skops(files): self.hostile}

    # The manifest

    def field(self, files: Files) -> Files:
        manifest = json.loads(files[MANIFEST])
        name = self.luck.choice(sorted(manifest))
        manifest[name] = self.luck.choice(["another", 17, None, [], {"a": "b"}])
        return files | {MANIFEST: json.dumps(manifest).encode()}

    def seal_removed(self, files: Files) -> Files:
        manifest = json.loads(files[MANIFEST])
        del manifest["manifest_sha256"]
        return files | {MANIFEST: json.dumps(manifest).encode()}

    # A model that MLflow would open with another loader

    def cloudpickle(self, files: Files) -> Files:
        text = files[MLMODEL].replace(
            b"loader_module: creditrisk.registry.mlflow_flavor",
            b"loader_module: mlflow.pyfunc.model\n    python_model: python_model.pkl\n"
            b"    cloudpickle_version: 3.1.1",
        )
        return files | {MLMODEL: text, "python_model.pkl": self.trap}

    def sklearn_pickle(self, files: Files) -> Files:
        text = files[MLMODEL].replace(b"model.skops", b"model.pkl")
        text = text.replace(b"serialization_format: skops", b"serialization_format: pickle")
        text = text.replace(b"creditrisk.registry.mlflow_flavor", b"mlflow.sklearn")
        return files | {MLMODEL: text, "model.pkl": self.trap}

    def shadowed(self, files: Files) -> Files:
        """A package of our name beside the model, which MLflow would import first."""
        text = files[MLMODEL].replace(
            b"loader_module: creditrisk", b"code: code\n    loader_module: creditrisk"
        )
        return files | {MLMODEL: text, "code/creditrisk/__init__.py": self.code}

    def resealed(self, files: Files) -> Files:
        """All hashes of the manifest written anew, as whoever may write all files can do."""
        manifest = json.loads(files[MANIFEST])
        manifest.pop("manifest_hmac", None)
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        if "files" in manifest:
            manifest["files"] = {name: hashes[name] for name in hashes if name != MANIFEST}
        else:
            manifest["model_sha256"] = hashes["credit_risk_model.pkl"]
            manifest["model_columns_sha256"] = hashes["model_columns.pkl"]
            manifest["model_skops_sha256"] = hashes["credit_risk_model.skops"]
        with key(None):
            return files | {MANIFEST: json.dumps(sealed(manifest)).encode()}

    def _any(self, files: Files) -> tuple[str, bytes]:
        name = self.luck.choice(sorted(name for name in files if files[name]))
        return name, files[name]


@contextmanager
def key(secret: str | None):
    """Have the key set, or no key."""
    before = os.environ.pop(KEY, None)
    if secret is not None:
        os.environ[KEY] = secret
    yield
    os.environ.pop(KEY, None)
    if before is not None:
        os.environ[KEY] = before


def _skops(files: Files) -> str:
    return next(name for name in files if name.endswith(".skops"))


def _members(content: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(members: Files) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()
