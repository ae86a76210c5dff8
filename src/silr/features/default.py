"""The features that are taken where nobody names any."""

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from silr.features import encoders
from silr.features.api import check_server
from silr.features.file import name_of_states

# Points of accuracy that all-MiniLM-L6-v2 and multilingual-e5-small add to TF-IDF: benchmarks/api_features.py,
# docs/design/benchmarks.md.
GAINS = "1 to 2"


def default_features(states: Sequence[str], say: Callable[[str], None]) -> list[str]:
    """All that is at hand of the annotator's states, sentence embeddings and TF-IDF, by what `make_features` takes.

    Parameters
    ----------
    states : sequence of str
        The file beside the table, if there is one, of hidden states or of a server's embeddings.
    say : callable
        Called with lines that the user should read: what is taken, and what is lost if that is TF-IDF alone.

    Raises
    ------
    InputError
        The environment names an encoder that cannot be one.
    """
    named = encoders.named()
    encoder = named or encoders.at_hand()
    if encoder is None and not states:
        encoder = encoders.from_hub(say)
    if encoder is None and not states:
        say(f"features: TF-IDF alone. {what_is_lost()}")
        return ["tfidf"]
    words = [name_of_states(Path(path)) for path in states]
    if encoder is not None:
        words.append("sentence embeddings" + (f" by {named}" if named else ""))
    say(f"features: {', '.join([*words, 'TF-IDF'])}")
    return [*states, *([encoder] if encoder else []), "tfidf"]


def check_default(server: Mapping[str, Any] | None) -> None:
    """Refuse options of an embeddings server where `default_features` takes none: `SILR_ENCODER` may name one."""
    check_server([os.environ.get(encoders.VARIABLE, "").strip()], server)


def what_is_lost(command: bool = True) -> str:
    """Return what sentence embeddings would gain, and what brings them, in words of the command or of Python."""

    def named(kind: str, more: str = "") -> str:
        return f"--features {kind}{more} --features tfidf" if command else f'features=["{kind}", "tfidf"]'

    mend = "pip install 'silr[sentence-transformers]'"  # with a network, it brings the rest
    if find_spec("sentence_transformers") is not None:
        mend = (
            f"connect to a network once, or name a model's folder, {named('FOLDER')} "
            f"(for good: export {encoders.VARIABLE}=FOLDER)"
        )
    others = f"or {named('static:MODEL')} (pip install 'silr[static]'); or {named('api:MODEL', ' --features-url URL')}"
    return f"Sentence embeddings add {GAINS} points of accuracy on average. In a new run: {mend}; {others}"
