"""What blanks would do to decisions if they were taken as missing values.

A model learns from missing values as from any others. Where they happen to be a good sign, leaving
a field blank would pay, which is why the contract says what a blank means, see
:mod:`creditrisk.data.missing_values`. This is how much it would pay.
"""

import numpy as np
import pandas as pd

from creditrisk.data.fields import Field
from creditrisk.data.missing_values import LEVEL, VALUE, WORST
from creditrisk.scoring.scorer import Scorer

#: Names the row in which all fields that may be missing are blank at once.
ALL = "all of these"


def blanks(scorer: Scorer, applications: pd.DataFrame, y: np.ndarray) -> pd.DataFrame:
    """Decisions if applicants left blank what may be missing, and blanks were taken as such.

    Parameters
    ----------
    applications, y
        Raw applications the model was not trained on and their outcomes, 1 = good.

    Returns
    -------
    DataFrame
        One row a field that may be missing, and one, :data:`ALL`, if there are several: field,
        today (what becomes of a blank), approved and approved_if_blank (shares of all applicants),
        declined (applicants who stated a value and are declined), turned (those of them who would
        be approved) and bad (those of these who went bad), with the shares turned_share of the
        declined and bad_share of the turned, NaN of nobody.
    """
    fields = [field for field in scorer.contract.fields if not field.required]
    rows = [(field.name, _today(field), [field.name]) for field in fields]
    if len(fields) > 1:
        rows.append((ALL, "", [field.name for field in fields]))
    approved = scorer.probabilities(applications) >= scorer.cutoff
    found = []
    for name, today, columns in rows:
        empty = applications.assign(**dict.fromkeys(columns, np.nan))
        if_blank = scorer.probabilities(empty) >= scorer.cutoff
        declined = ~approved & applications[columns].notna().any(axis=1).to_numpy()
        turned = declined & if_blank
        bad = int((np.asarray(y)[turned] == 0).sum())
        shares = approved.mean(), if_blank.mean()
        found.append((name, today, *shares, int(declined.sum()), int(turned.sum()), bad))
    table = pd.DataFrame(found, columns=COLUMNS)
    return table.assign(
        turned_share=table.turned / table.declined.where(table.declined > 0),
        bad_share=table.bad / table.turned.where(table.turned > 0),
    )


COLUMNS = ["field", "today", "approved", "approved_if_blank", "declined", "turned", "bad"]


def _today(field: Field) -> str:
    """What becomes of a blank that an applicant sends."""
    if field.missing_means == LEVEL:
        return f"refused; missing is stated as “{field.missing_label}”"
    if field.missing_means == VALUE:
        return "scored as what a missing value meant in the data"
    return "scored as the worst value" if field.missing_means == WORST else "refused"
