"""The sentences of the review: each branch, from figures made up for it."""

import pandas as pd

from creditrisk.reports.findings import review


def test_the_champion_leads_the_list_of_winners_and_a_lottery_is_called_one():
    shares = pd.Series({"Forest": 0.5, "Boosting": 0.4, "Scorecard": 0.1})
    assert review.winners(shares, "Boosting") == (
        "**Boosting** wins in 40% of the samples, Forest in 50%, Scorecard in 10%. The choice is a "
        "lottery among models that are alike."
    )
    clear = review.winners(pd.Series({"Forest": 0.8, "Boosting": 0.2}), "Forest")
    assert clear.endswith(
        "Boosting in 20%. Other applicants would hardly have led to another model."
    )
    assert review.winners(pd.Series({"Forest": 1.0}), "Forest").startswith(
        "**Forest** wins in 100% of the samples. Other"
    )
    assert review.winners(pd.Series({"Forest": 1.0}), "Scorecard").startswith(
        "**Scorecard** wins in 0% of the samples, Forest in 100%. The choice is a lottery"
    )
