"""Characters a token by script, for the bill of an API whose tokenizer is not at hand.

    python benchmarks/characters_a_token.py --tokenizer gpt-4=cl100k.tiktoken --tokenizer qwen=tokenizer.json \
        --texts english=reviews.csv --texts russian=django/conf/locale/ru/LC_MESSAGES/django.po

Tokenizers are `tokenizer.json` files of transformers, `.tiktoken` files of ranks, or Mistral's `tekken.json`; the
latter two need tiktoken. PyPI has real ones: litellm (GPT-4, Claude, DeepSeek), dashscope (Qwen), mistral-common
(tekken). Texts are tables with a column `text`, or gettext catalogues (Django's, in many languages), of which the
longer translations are read.

For each tokenizer the tokens of all texts are fitted by its tokens a character of each script (least squares of
relative errors, none negative). The estimate takes the mean over the tokenizers. Printed are the rates, and for each
language the estimate over the true number: over the tokenizers the least, the mean and the largest.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from silr.annotators.tokens import GROUPS, characters_by_script
from silr.io.corpus import read_table, text_column

RESULT = Path(__file__).parent / "results" / "characters_a_token.json"
MOST_CHARACTERS = 150_000  # of a language
SHORTEST = 60  # characters of a translation
GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
Count = Callable[[list[str]], NDArray[np.float64]]


def main() -> None:
    """Fit, print and keep the rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", action="append", required=True, metavar="NAME=FILE")
    parser.add_argument("--texts", action="append", required=True, metavar="LANGUAGE=FILE")
    options = parser.parse_args()
    texts = {name: read_texts(Path(path)) for name, path in (each.split("=", 1) for each in options.texts)}
    counts = {name: counter(Path(path)) for name, path in (each.split("=", 1) for each in options.tokenizer)}
    scripts = {name: np.array([characters_by_script(text) for text in each]) for name, each in texts.items()}
    whole = np.array([each.sum(axis=0) for each in scripts.values()], dtype=np.float64)
    rates, true = [], {}
    for name, count in counts.items():
        tokens = np.array([count(each).sum() for each in texts.values()])
        rate, _ = nnls(whole / tokens[:, None], np.ones(len(tokens)))
        rates.append(rate)
        true[name] = tokens
    mean = np.mean(rates, axis=0)
    result: dict[str, object] = {
        "tokens_a_character": {group: round(float(rate), 3) for group, rate in zip(GROUPS, mean, strict=True)},
        "estimate_over_truth": {},
    }
    for place, language in enumerate(texts):
        ratio = {name: round(float(whole[place] @ mean / tokens[place]), 2) for name, tokens in true.items()}
        result["estimate_over_truth"][language] = ratio  # type: ignore[index]
        print(
            f"{language:12} {min(ratio.values()):5.2f} {np.mean([*ratio.values()]):5.2f} {max(ratio.values()):5.2f}",
            ratio,
        )
    print(json.dumps(result["tokens_a_character"], indent=2))
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


def read_texts(path: Path) -> list[str]:
    """Texts of a table or of a gettext catalogue, up to a number of characters."""
    if path.suffix == ".po":
        pieces = re.findall(r'^msgstr(?:\[\d\])? ((?:"(?:[^"\\]|\\.)*"\n)+)', path.read_text(), re.MULTILINE)
        found = ["".join(json.loads(line) for line in piece.splitlines()) for piece in pieces[1:]]
        found = [text for text in found if len(text) >= SHORTEST] or [text for text in found if text]
    else:
        found = [text for text in text_column(read_table(path), "text") if text.strip()]
    kept, total = [], 0
    for text in found:
        total += len(text)
        if total > MOST_CHARACTERS:
            break
        kept.append(text)
    return kept


def counter(path: Path) -> Count:
    """A function that counts the tokens of each text."""
    if path.suffix == ".json" and not path.name.startswith("tekken"):
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(path))
        encode = partial(tokenizer.encode, add_special_tokens=False)
        return lambda texts: np.array([len(encode(text).ids) for text in texts], float)
    import tiktoken

    if path.suffix == ".json":
        whole = json.loads(path.read_text())
        config, pattern = whole["config"], whole["config"]["pattern"]
        size = config["default_vocab_size"] - config["default_num_special_tokens"]
        ranks = {base64.b64decode(each["token_bytes"]): each["rank"] for each in whole["vocab"][:size]}
    else:
        pairs, pattern = (line.split() for line in path.read_bytes().splitlines() if line), GPT4
        ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
    encoding = tiktoken.Encoding(path.stem, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return lambda texts: np.array([len(encoding.encode_ordinary(text)) for text in texts], float)


if __name__ == "__main__":
    main()
