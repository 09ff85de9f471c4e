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

#: Up to so many applications go one by one; numpy's fixed cost outweighs more of them.
FEW = 2


@dataclass(frozen=True, slots=True)
class Decision:
    """What the model says of one application."""

    probability: float  # of a good risk
    prediction: int  # 1 = good risk, 0 = bad risk
    decision: str  # "approve" or "decline"
    reasons: tuple[Reason, ...] | None = None  # if asked: what holds the score down


class NoReasons(Exception):
    """Why a model has no reasons, in one sentence."""


@dataclass(frozen=True)
class Scorer:
    """A loaded model, ready to decide.

    ``fast`` is whether the tables of :mod:`creditrisk.scoring.lookup_tables` answer; they give
    scikit-learn's own answers, which was checked when the scorer was made. If not, the pipeline
    answers.
    """

    name: str
    version: int | None
    alias: str | None  # under which it was asked for
    sha256: str  # of the pickled model, in the registry too: one model, one hash
    cutoff: float  # approve from this probability of a good risk on
    contract: Contract
    pipeline: Pipeline = field(repr=False)
    domain: Domain = field(repr=False)
    flat: LookupTables | None = field(repr=False)
    reference: dict[str, Level | None] | None = field(
        default=None, repr=False
    )  # what reasons compare with

    @property
    def fast(self) -> bool:
        """Whether the tables answer, and not the pipeline."""
        return self.flat is not None

    def score(
        self, applications: list[Json] | Json | pd.DataFrame, reasons: bool = False
    ) -> list[Decision]:
        """Decide on each application, and if asked name what holds its score down.

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
        if self.flat is not None and len(codes) <= FEW:
            return [self._decision(self.flat.one(each)) for each in codes]
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
        """The same for applications given by the codes of their values, shape (n, fields)."""
        return self._many(codes)

    def reasons(self, codes: np.ndarray) -> list[tuple[Reason, ...]]:
        """What holds the score of each application down, given as for :meth:`from_codes`.

        Raises
        ------
        NoReasons
            As :meth:`score`.
        """
        typical = self._typical()
        return [find_reasons(each, typical, self.domain, self._many) for each in codes]

    def effects(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """What each field does to the log-odds of each application, seen from the reference.

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
        self._typical()  # or there are none
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
        if self.flat is not None:
            return self.flat.many(codes)
        # The pipeline's classifier, spared its encoder: the matrix follows from the contract.
        return good_probability(self.pipeline["decide"], self.domain.matrix(codes))

    def _decision(self, probability: float) -> Decision:
        good = probability >= self.cutoff
        return Decision(probability, int(good), "approve" if good else "decline")


def good_probability(model: BaseEstimator, applications: pd.DataFrame) -> np.ndarray:
    """What scikit-learn says is the probability of a good risk, which is class 1."""
    good: np.ndarray = model.predict_proba(applications)[:, list(model.classes_).index(1)]
    return good
