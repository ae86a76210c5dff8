"""A reasoning model's thoughts inside its answer, in the marks that models and servers put around them."""

import re

_NAME = (
    r"(?:think(?:ing)?|thoughts?|reason(?:ing|s)?|rationale|explanation|justification"
    r"|reflection|reflect|scratchpad|analysis|cot|(?:inner[-_ ])?monologue"
    r"|chain[-_ ]?of[-_ ]?thought|(?:think(?:ing)?|thought|reasoning)[-_ ](?:process|trace|steps?|content)"
    r"|思考|思考过程)"
)
_SPACE = r"(?:[\w.]{1,30}[:_-])?"  # <seed:think>
_SHORT = r"(?:think(?:ing)?|thought|reasoning)"
_OPENING = re.compile(
    rf"(?:<|&lt;){_SPACE}{_NAME}(?:\s[^<>]{{0,200}})?(?<!/)(?:>|&gt;)"
    rf"|\[{_NAME}\]|◁{_NAME}▷"
    rf"|<\|(?:(?:begin|start)_(?:of_)?{_SHORT}|{_SHORT}(?:_(?:start|begin))?)\|>"
    r"|<\|?channel\|?>\s{0,4}(?:analysis|commentary|thought)\b"  # harmony (gpt-oss), Gemma 4
    r"|<\|im_start\|>\s{0,4}think\b|<unused94>|<details\s[^<>]{0,100}reasoning[^<>]{0,100}>"  # MedGemma, Open WebUI
    r"|\A\s{0,9}(?-i:analysis(?=\w))"  # harmony after its special tokens were dropped
    r"|\A\s{0,9}thinking\.\.\.|\A\W{0,9}here(?: is|'s|’s) my thought process\b",  # Granite 3
    re.IGNORECASE,
)
_CLOSING = re.compile(
    rf"(?:<|&lt;)/{_SPACE}{_NAME}\s{{0,4}}(?:>|&gt;)"
    rf"|\[/{_NAME}\]|◁/{_NAME}▷"
    rf"|<\|(?:end_(?:of_)?{_SHORT}|/{_SHORT}|{_SHORT}_end)\|>"
    r"|<\|(?:begin|start)_(?:of_)?(?:solution|response|answer|final_answer)\|>"
    r"|final\s{0,4}(?:<\|constrain\|>\s{0,4}\w{0,20}\s{0,4})?<\|message\|>|(?-i:assistantfinal)|<channel\|>"
    r"|<\|im_start\|>\s{0,4}answer\b|<unused95>|</details>"
    r"|\.\.\.done thinking\.|here(?: is|'s|’s) my response\W{0,4}",
    re.IGNORECASE,
)
_FENCED = re.compile(rf"```{_SHORT}\b[^`]*```", re.IGNORECASE)
_MARKS = re.compile(
    r"[<\[◁`]|&lt;|\A\s{0,9}(?:analysis|thinking\.)|done thinking|assistantfinal|my (?:thought|response)", re.IGNORECASE
)
_AFTERWARDS = re.compile(
    r"<(?:reason(?:ing|s)?|rationale|explanation|justification|reflection|analysis)\b", re.IGNORECASE
)
# the title of a thought, whose marks were in the prompt
OUTLINE = re.compile(r"\A\W{0,9}(?:thinking|thought|reasoning) process\b", re.IGNORECASE)


def answer_span(answer: str) -> tuple[int, int] | None:
    """Where the answer begins and ends: after the last thought; None if that does not end.

    A thought whose opening mark was part of the prompt has no beginning, and one that was cut off has no end.
    """
    if not _MARKS.search(answer):
        return 0, len(answer)
    ends = [mark.end() for pattern in (_CLOSING, _FENCED) for mark in pattern.finditer(answer)]
    start = max(ends, default=0)
    if start and not answer[start:].strip():
        return _before_afterthought(answer) or (start, len(answer))
    if (opening := _OPENING.search(answer, start)) is not None:
        before, thought = answer[start : opening.start()].strip(), answer[opening.end() :].strip()
        is_over = before and (not thought or _AFTERWARDS.match(opening[0]))  # reasoning may come last, and be cut off
        return (start, opening.start()) if is_over else None
    return start, len(answer)


def without_thoughts(answer: str) -> str:
    """Blank out what a reasoning model thinks, so that every other character keeps its place.

    The answer is what follows the last thought; nothing is left if that has no end.
    """
    span = answer_span(answer)
    if span is None:
        return " " * len(answer)
    return " " * span[0] + answer[span[0] : span[1]] + " " * (len(answer) - span[1])


def _before_afterthought(answer: str) -> tuple[int, int] | None:
    """Fields in tags may put the reasoning last: `<label>positive</label><reasoning>...</reasoning>`."""
    openings = list(_OPENING.finditer(answer))
    if not openings or not _AFTERWARDS.match(openings[-1][0]):
        return None
    end = openings[-1].start()
    start = max((mark.end() for mark in _CLOSING.finditer(answer, 0, end)), default=0)
    return (start, end) if answer[start:end].strip() else None
