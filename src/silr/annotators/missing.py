"""Reasons why a text has no LLM label: the values of the column `llm_missing`."""

from enum import StrEnum

COLUMN = "llm_missing"


class Missing(StrEnum):
    """Why there is no label; each value is written as it stands here."""

    REFUSED = "refused"  # the model or the server declines
    FILTERED = "filtered"  # a content filter stopped the text or the answer
    CUT_OFF = "cut off"  # the answer ended before it named a class
    TOO_LONG = "too long"  # the text is over the server's limit, also when cut
    NO_CLASS = "no class named"
    SEVERAL = "several named"
    SERVER = "server error"
    EMPTY = "empty text"  # there was nothing to ask about
    NOT_ASKED = "not asked"  # the budget was spent before, or a batch has no answer yet
    OPEN = "still open"  # it was asked about, but a further question, such as a stricter one, has no answer yet
