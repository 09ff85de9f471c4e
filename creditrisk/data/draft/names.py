"""What the name of a column hints at; it decides nothing alone, and is asked about."""

import re

#: Words for what the law of many countries protects.
PROTECTED = re.compile(
    r"age|sex|gender|marital|married|nation\w*|foreign\w*|race|ethnic\w*|religi\w*|disab\w*"
    r"|birth\w*|born|dob|pregnan\w*|alter|geschlecht|familienstand|herkunft|geburt\w*|geboren"
)
#: Words for what happens to a loan after it was granted.
AFTERWARDS = re.compile(
    r"recover\w*|collection\w*|settle\w*|hardship|chargeoff|writeoff|dunning|outstanding|repaid|lgd"
    r"|beigetrieben|mahnung\w*|inkasso|abgeschrieben"
)
#: Words for the number of a row, a person or a loan.
IDENTIFIER = re.compile(
    r"ids?|key|number|no|nr|uuid|guid|account|loan|customer|client|member|application|\w*nummer|kunde"
)
#: Words for a date on which a loan was decided on.
DECISION = re.compile(
    r"issued?|applicat\w+|applied|decision|granted|orig\w*|opened|approv\w+|vintage|reporting"
    r"|listed|date|month|datum|antrag\w*|eröffnet|bewilligt"
)
#: Words for a date of an earlier life.
EARLIER = re.compile(r"birth\w*|born|dob|earliest|first|geburt\w*|geboren")


def hints_at(name: str, of: re.Pattern[str]) -> bool:
    """Whether a name holds one of some words; ``loanIssue_date`` has three."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()
    return any(of.fullmatch(word) for word in re.split(r"[^\w]|_", spaced))
