"""Raw applications in, decisions out: the one scorer behind every interface."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from creditrisk.data.applications.domain import Domain
from creditrisk.data.applications.frame_codes import frame_codes
from creditrisk.data.applications.record_checks import record_codes
from creditrisk.data.contract import Contract, Json
from creditrisk.data.fields import Value
from creditrisk.scoring.lookup_tables import LookupTables, additive
from creditrisk.scoring.reason_finder import ReasonFinder
from creditrisk.scoring.reasons import Reason
from creditrisk.scoring.recourse.answers import RecourseFinder, Recourses
from creditrisk.scoring.training_range import Range, names_outside, training_ranges
from creditrisk.scoring.worst_case import Assumed, assumed, blanks, worst_case, worst_fields

#: Up to so many applications are answered one by one, which saves numpy's fixed cost.
FEW = 2


@dataclass(frozen=True, slots=True)
class Decision:
    """The model's answer to one application."""

    probability: float  # of a good risk
    prediction: int  # 1 = good risk, 0 = bad risk
    decision: str  # "approve" or "decline"
    reasons: tuple[Reason, ...] | None = None  # if asked: the fields that lower the score
    assumed: tuple[Assumed, ...] = ()  # blanks that were scored as the worst value
    outside: tuple[str, ...] = ()  # quantities beyond what the model has learned from
    recourse: Recourses | None = None  # if asked and declined: what would turn it


class ModelRefused(Exception):
    """Why a saved model is not loaded, in one sentence."""


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
    reference: dict[str, Value] | None = field(default=None, repr=False)
    #: By quantity, the lowest and the highest value of training; none where it is not recorded.
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict, repr=False)

    @property
    def fast(self) -> bool:
        """Whether the tables answer, and not the pipeline."""
        return self.tables is not None

    @property
    def about(self) -> Json:
        """The model as the logs name it."""
        return {
            "name": self.name,
            "version": self.version,
            "alias": self.alias,
            "sha256": self.sha256,
        }

    def score(
        self,
        applications: list[Json] | Json | pd.DataFrame,
        reasons: bool = False,
        recourse: bool = False,
    ) -> list[Decision]:
        """Decide on each application, and if asked say why, and what would turn a decline.

        Parameters
        ----------
        applications
            One or more applications as they come out of JSON, or a frame of them. A blank is what
            the contract says, see :mod:`creditrisk.data.missing_values`.
        reasons
            Whether to name the fields that lower a score.
        recourse
            Whether to search for the smallest changes by which a declined one would be approved,
            see :mod:`creditrisk.scoring.recourse.answers`.

        Raises
        ------
        InvalidRecords
            If the contract does not allow one of them; then none is decided.
        NoReasons
            If reasons are asked of a model that was saved without a reference application.
        """
        if reasons:
            _ = self._reason_finder.typical  # raises if the model has no reasons
        if isinstance(applications, pd.DataFrame):
            codes: list[list[float]] | np.ndarray = frame_codes(applications, self.domain)
        else:
            records = [applications] if isinstance(applications, dict) else applications
            codes = record_codes(records, self.domain)
        if len(codes) and (reasons or recourse or self._worst):
            return self._in_full(codes, reasons, recourse)
        return [self._decision(p, each) for p, each in zip(self._answers(codes), codes)]

    def taking_blanks(self, *meanings: str) -> "Scorer":
        """The same model for applications in the coding of its data, where a blank is a value.

        Parameters
        ----------
        meanings
            The columns concerned, by what a blank means in them; by default all.
        """
        allowed = self.domain.taking_blanks(*meanings)
        return replace(self, contract=allowed.contract, domain=allowed)

    def probabilities(self, frame: pd.DataFrame) -> np.ndarray:
        """The probability of a good risk for each application in the coding of the model's data.

        NaN and None are missing values, from which the model has learned as from any other.

        Returns
        -------
        ndarray, shape (n,)

        Raises
        ------
        InvalidRecords
            If the contract does not allow one of them.
        """
        return self._many(frame_codes(frame, self._source))

    def from_codes(self, codes: np.ndarray) -> np.ndarray:
        """The probabilities (n,) for applications given by their codes (n, fields)."""
        return self._many(codes)

    def worst_case(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Applications whose blanks have the worst value, where the contract wants that.

        Returns
        -------
        codes : ndarray of int, shape (n, fields)
        blank : ndarray of bool, shape (n, fields)
            Which values were blanks.
        """
        if not self._worst:
            return codes, np.zeros(codes.shape, bool)
        blank = blanks(codes, self.domain)
        return worst_case(codes, blank, self.domain, self._many), blank

    def reasons(
        self, codes: np.ndarray, blank: np.ndarray | None = None
    ) -> list[tuple[Reason, ...]]:
        """The fields that lower the score of each application, given by codes (n, fields).

        Parameters
        ----------
        blank
            Which values were not given, bool (n, fields); by default none.

        Raises
        ------
        NoReasons
            As :meth:`score`.
        """
        return self._reason_finder.find(codes, blank)

    def effects(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What each field adds to the log-odds of each application, compared with the reference.

        Returns
        -------
        contributions, gains, errors : ndarray, shape (n, fields)
            As :func:`creditrisk.scoring.reasons.field_effects`.

        Raises
        ------
        InvalidRecords, NoReasons
            As :meth:`score`.
        """
        found = self._reason_finder.effects(frame_codes(frame, self._source))
        return found[:, 0], found[:, 1], found[:, 2]

    def nameable(self, frame: pd.DataFrame) -> np.ndarray:
        """Which fields may be named as reasons for each application, bool (n, fields).

        Raises
        ------
        InvalidRecords, NoReasons
            As :meth:`score`.
        """
        return self._reason_finder.nameable(frame_codes(frame, self._source))

    @property
    def additive(self) -> bool:
        """Whether the log-odds are a sum over the fields, whose shares are then known at once."""
        return additive(self.tables) is not None

    @cached_property
    def _source(self) -> Domain:
        """The codes for applications in the coding of the model's data."""
        return self.domain.taking_blanks()

    @cached_property
    def _worst(self) -> bool:
        return bool(worst_fields(self.domain))

    def _in_full(
        self, sent: list[list[float]] | np.ndarray, reasons: bool, recourse: bool
    ) -> list[Decision]:
        """Decisions that also hold what blanks were scored as, and what else was asked for."""
        codes, blank = self.worst_case(np.array(sent))
        why = self.reasons(codes, blank) if reasons else [None] * len(codes)
        scored = [assumed(each, left_out, self.domain) for each, left_out in zip(codes, blank)]
        answers = self._answers(codes.tolist() if isinstance(sent, list) else codes)
        decisions = [
            replace(self._decision(p, row), reasons=each, assumed=values)
            for p, row, each, values in zip(answers, codes, why, scored)
        ]
        if not recourse:
            return decisions
        return [
            each if each.prediction else replace(each, recourse=self.recourse(row, left_out))
            for each, row, left_out in zip(decisions, codes, blank)
        ]

    def recourse(self, codes: np.ndarray, fixed: np.ndarray | None = None) -> Recourses:
        """The smallest changes by which one declined application would be approved.

        Parameters
        ----------
        codes
            Shape (fields,).
        fixed
            Shape (fields,): columns that stay as they are.
        """
        return self._recourse_finder.find(codes, fixed)

    @cached_property
    def _recourse_finder(self) -> RecourseFinder:
        return RecourseFinder(self.domain, self.cutoff, self._many, self.tables, self.ranges)

    @cached_property
    def _reason_finder(self) -> ReasonFinder:
        return ReasonFinder(self.domain, self._source, self._many, self.tables, self.reference)

    def _answers(self, codes: list[list[float]] | np.ndarray) -> list[float]:
        if self.tables is not None and isinstance(codes, list) and len(codes) <= FEW:
            return [self.tables.one(each) for each in codes]
        found: list[float] = self._many(np.array(codes)).tolist()
        return found

    def _many(self, codes: np.ndarray) -> np.ndarray:
        if not len(codes):
            return np.empty(0)
        if self.tables is not None:
            return self.tables.many(codes)
        # Without the pipeline's encoder, which is slower: the matrix follows from the contract.
        return good_probability(self.pipeline["decide"], self.domain.matrix(codes))

    def _decision(self, probability: float, codes: Sequence[float] | np.ndarray) -> Decision:
        good = probability >= self.cutoff
        beyond = names_outside(codes, self.training_ranges)
        return Decision(probability, int(good), "approve" if good else "decline", outside=beyond)

    @cached_property
    def training_ranges(self) -> list[Range]:
        """Of each quantity, what the model has learned from."""
        return training_ranges(self.domain, self.ranges)


def good_probability(model: BaseEstimator, applications: pd.DataFrame) -> np.ndarray:
    """The probability of a good risk, class 1, by scikit-learn, shape (n,)."""
    good: np.ndarray = model.predict_proba(applications)[:, list(model.classes_).index(1)]
    return good
