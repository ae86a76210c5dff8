"""Words around each text, put there by the tokenizer itself, so that they go wherever the tokenizer goes."""

from typing import Any

from silr.errors import InputError

_BEFORE, _AFTER = "<words before>", "<words after>"


def check_prompt(prompt: str) -> None:
    """Raise InputError unless the prompt has a place for the text."""
    if prompt.count("{text}") != 1:
        raise InputError(f"the prompt must contain {{text}} exactly once, not {prompt.count('{text}')} times")


def with_prompt(tokenizer: Any, prompt: str) -> Any:
    """Return a tokenizer that puts the words of a prompt around every text, inside of its special tokens.

    A text that is too long is cut, the prompt is not. Special tokens that a text spells out are ordinary characters.
    What `save_pretrained` writes has the prompt in it; the tokenizer is of no special class, as those of some models
    would forget the prompt when they are loaded again. A prompt without ``{text}`` or a slow tokenizer is an
    InputError.
    """
    check_prompt(prompt)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise InputError("a prompt needs a fast tokenizer, which this model has none of; leave it out")
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    special = tokenizer("a")["input_ids"]
    start = next(at for at in range(len(special)) if special[at : at + len(plain)] == plain)
    parts = prompt.split("{text}")
    words = [tokenizer(part, add_special_tokens=False, verbose=False)["input_ids"] if part else [] for part in parts]
    if words[0][:start] == special[:start]:  # a chat template brings the first token itself
        words[0] = words[0][start:]
    around = {_BEFORE: special[:start] + words[0], _AFTER: words[1] + special[start + len(plain) :]}
    around = {name: ids for name, ids in around.items() if ids}
    order = [name for name in (_BEFORE, "$A", _AFTER) if name == "$A" or name in around]
    backend = Tokenizer.from_str(backend.to_str())
    tokens = [{"id": name, "ids": ids, "tokens": tokenizer.convert_ids_to_tokens(ids)} for name, ids in around.items()]
    backend.post_processor = TemplateProcessing(single=order, special_tokens=tokens)
    names = ("padding_side", "truncation_side", "model_max_length", "model_input_names")
    options = {**tokenizer.special_tokens_map, **{name: getattr(tokenizer, name) for name in names}}
    return PreTrainedTokenizerFast(tokenizer_object=backend, split_special_tokens=True, **options)
