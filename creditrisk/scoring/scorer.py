"""Raw applications in, decisions out: the one scorer behind every interface."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from creditrisk.data.contract import Contract, Json, Level
from creditrisk.data.domain import Domain
from creditrisk.data.frame_codes import frame_codes
from creditrisk.data.record_checks import InvalidRecords, RecordProblem, record_problems
from creditrisk.scoring.lookup_tables import LookupTables
from creditrisk.scoring.reasons import Reason, field_effects, find_reasons

#: Up to so many applications are answered one by one, which saves numpy's fixed cost.
FEW = 2


@dataclass(frozen=True, slots=True)
class Decision:
    """The model's answer to one application."""

    probability: float  # of a good risk
    prediction: int  # 1 = good risk, 0 = bad risk
    decision: str  # "approve" or "decline"
    reasons: tuple[Reason, ...] | None = None  # if asked: the fields that lower the score


class ModelRefused(Exception):
    """Why a saved model is not loaded, in one sentence."""


class NoReasons(Exception):
    """Why a model has no reasons, in one sentence."""


@dataclass(frozen=True)
class Scorer:
    """A loaded model, ready to decide.

    If it is ``fast``, the tables of :mod:`creditrisk.scoring.lookup_tables` answer, which was
    checked against scikit-learn's answers when the scorer was made. Otherwise the pipeline does.
    """

    name: str
    version: int | None
    alias: str | None  # under which it was asked for
    sha256: str  # of the pickled model, in the registry too: one model, one hash
    cutoff: float  # approve from this probability of a good risk on
    contract: Contract
    pipeline: Pipeline = field(repr=False)
    domain: Domain = field(repr=False)
    tables: LookupTables | None = field(repr=False)
    #: The application that reasons compare with.
    reference: dict[str, Level | None] | None = field(default=None, repr=False)

    @property
    def fast(self) -> bool:
        """Whether the tables answer, and not the pipeline."""
        return self.tables is not None

    def score(
        self, applications: list[Json] | Json | pd.DataFrame, reasons: bool = False
    ) -> list[Decision]:
        """Decide on each application, and if asked name the fields that lower its score.

        Parameters
        ----------
        applications
            One or more applications as they come out of JSON, or a frame of raw applications.

        Raises
        ------
        InvalidRecords
            If the contract does not allow one of them; then none is decided.
        NoReasons
            If reasons are asked of a model that was saved without a reference application.
        """
        if reasons:
            return self._with_reasons(applications)
        if isinstance(applications, pd.DataFrame):
            return [self._decision(p) for p in self.probabilities(applications).tolist()]
        records = [applications] if isinstance(applications, dict) else applications
        found = [self.domain.codes(record) for record in records]
        codes = [each for each in found if each is not None]
        if len(codes) < len(found):
            raise InvalidRecords(
                [
                    RecordProblem(number, *problem)
                    for number, (record, each) in enumerate(zip(records, found), 1)
                    if each is None
                    for problem in record_problems(record, self.contract)
                ]
            )
        if self.tables is not None and len(codes) <= FEW:
            return [self._decision(self.tables.one(each)) for each in codes]
        return [self._decision(p) for p in self._many(np.array(codes)).tolist()]

    def probabilities(self, frame: pd.DataFrame) -> np.ndarray:
        """The probability of a good risk for each application, NaN and None being missing values.

        Returns
        -------
        ndarray, shape (n,)

        Raises
        ------
        InvalidRecords
            If the contract does not allow one of them.
        """
        return self._many(frame_codes(frame, self.domain))

    def from_codes(self, codes: np.ndarray) -> np.ndarray:
        """The probabilities (n,) for applications given by their codes (n, fields)."""
        return self._many(codes)

    def reasons(self, codes: np.ndarray) -> list[tuple[Reason, ...]]:
        """The fields that lower the score of each application, given by codes (n, fields).

        Raises
        ------
        NoReasons
            As :meth:`score`.
        """
        typical = self._typical()
        return [find_reasons(each, typical, self.domain, self._many) for each in codes]

    def effects(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """What each field adds to the log-odds of each application, compared with the reference.

        Returns
        -------
        contributions, gains : ndarray, shape (n, fields)
            As :func:`creditrisk.scoring.reasons.field_effects`.

        Raises
        ------
        InvalidRecords, NoReasons
            As :meth:`score`.
        """
        typical, rows = self._typical(), frame_codes(frame, self.domain)
        found = [field_effects(codes, typical, self._many) for codes in rows]
        both = np.array(found).reshape(-1, 2, rows.shape[1])
        return both[:, 0], both[:, 1]

    def _with_reasons(self, applications: list[Json] | Json | pd.DataFrame) -> list[Decision]:
        self._typical()  # raises if the model has no reasons
        decisions = self.score(applications)
        if isinstance(applications, pd.DataFrame):
            rows = frame_codes(applications, self.domain)
        else:
            records = [applications] if isinstance(applications, dict) else applications
            rows = np.array([self.domain.codes(record) for record in records])
        return [replace(each, reasons=why) for each, why in zip(decisions, self.reasons(rows))]

    def _typical(self) -> np.ndarray:
        if self.reference is None:
            raise NoReasons(
                "the model was saved without a reference application, so it has no reasons; "
                "register it again"
            )
        return np.array(self.domain.codes(self.reference))

    def _many(self, codes: np.ndarray) -> np.ndarray:
        if not len(codes):
            return np.empty(0)
        if self.tables is not None:
            return self.tables.many(codes)
        # Without the pipeline's encoder, which is slower: the matrix follows from the contract.
        return good_probability(self.pipeline["decide"], self.domain.matrix(codes))

    def _decision(self, probability: float) -> Decision:
        good = probability >= self.cutoff
        return Decision(probability, int(good), "approve" if good else "decline")


def good_probability(model: BaseEstimator, applications: pd.DataFrame) -> np.ndarray:
    """The probability of a good risk, class 1, by scikit-learn, shape (n,)."""
    good: np.ndarray = model.predict_proba(applications)[:, list(model.classes_).index(1)]
    return good
