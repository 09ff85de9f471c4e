"""A model's files: written with their hashes, and opened once they are verified."""

import hashlib
import hmac
import os
import pickle
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED

from sklearn.pipeline import Pipeline

from creditrisk.scoring.scorer import ModelRefused
from creditrisk.scoring.sources.model_manifest import EARLIER_LAYOUT

#: The files of a folder, and where its manifest has their sha256. Only the first is opened; the
#: pickles are for people, and may be left off a server.
MODEL = "credit_risk_model.skops"
HASHES = {
    MODEL: "model_skops_sha256",
    "credit_risk_model.pkl": "model_sha256",
    "model_columns.pkl": "model_columns_sha256",
}

#: Types of scikit-learn, SciPy and NumPy in the candidates that skops opens only if named.
TRUSTED_TYPES = [
    "numpy.argmax",
    "numpy.asarray",
    "numpy.dot",
    "numpy.dtype",
    "numpy.ma.core.masked_equal",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "scipy.interpolate._bsplines.BSpline",
    "scipy.interpolate._bsplines._BSpline",  # its name from SciPy 1.18 on
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
]


def save_pickle(model: object, path: str | Path) -> str:
    """Pickle to a file and return its sha256; a full disk is an error, not a short file."""
    return _written(pickle.dumps(model), path)


def save_skops(model: Pipeline, path: str | Path) -> str:
    """Save to a file in skops' format, which holds data and no code, and return its sha256."""
    import skops.io  # half a second, which only those pay who need it

    return _written(skops.io.dumps(model, compression=ZIP_DEFLATED), path)


def open_pickle(path: str | Path, sha256: str) -> Any:
    """What a pickle holds, if its file has that sha256; else it is not opened.

    Raises
    ------
    ModelRefused
        If the file cannot be read, is another one, or cannot be opened.
    """
    content = read(Path(path))
    if not hmac.compare_digest(hashlib.sha256(content).hexdigest(), sha256):
        raise ModelRefused(f"{path} is not the file that was registered (sha256 differs)")
    try:
        return pickle.loads(content)
    except Exception as error:  # a pickle can fail in any way
        raise ModelRefused(f"{path} cannot be opened ({type(error).__name__})") from error


def open_skops(content: bytes, source: Path | str) -> Any:
    """What a skops file holds; its hash was compared before.

    The trusted types are those of this project. MLflow takes the list stored beside the model,
    which can be changed along with the model.

    Raises
    ------
    ModelRefused
        If it holds other types, or cannot be opened.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        return skops.io.loads(content, trusted=TRUSTED_TYPES)
    except UntrustedTypesFoundException as error:
        if "creditrisk." in str(error):
            raise ModelRefused(f"{source} was made {EARLIER_LAYOUT}") from error
        raise ModelRefused(f"{source} holds types that no model of this project has") from error
    except Exception as error:  # whatever a damaged file leads to
        raise ModelRefused(f"{source} cannot be opened ({type(error).__name__})") from error


def read(path: Path) -> bytes:
    """A file's content.

    Raises
    ------
    ModelRefused
        If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelRefused(f"{path} cannot be read ({error.strerror})") from error


def _written(content: bytes, path: str | Path) -> str:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(content).hexdigest()
