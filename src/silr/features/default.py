"""The features that are taken where nobody names any."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from silr.features import encoders
from silr.features.file import name_of_states

# Points of accuracy that all-MiniLM-L6-v2 and multilingual-e5-small add to TF-IDF: benchmarks/api_features.py,
# docs/design/benchmarks.md.
GAINS = "2 to 3"
OTHERS = (
    "or name others beside it: --features static:MODEL --features tfidf (pip install 'silr[static]'), "
    "--features api:MODEL --features-url URL --features tfidf (a server's embeddings)"
)


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
    encoder = encoders.named() or encoders.at_hand()
    if encoder is None and not states:
        encoder = encoders.from_hub(say)
    if encoder is None and not states:
        say(f"features: TF-IDF alone; {what_is_lost()}")
        return ["tfidf"]
    by = f" by {encoder}" if encoder and encoder == encoders.named() else ""
    named = [name_of_states(Path(path)) for path in states] + [f"sentence embeddings{by}"] * (encoder is not None)
    say(f"features: {', '.join([*named, 'TF-IDF'])}")
    return [*states, *([encoder] if encoder else []), "tfidf"]


def what_is_lost() -> str:
    """Return what sentence embeddings would gain, and the commands that bring them."""
    mend = "pip install 'silr[sentence-transformers]' and run this again, with a network the first time"
    if find_spec("sentence_transformers") is not None:
        mend = (
            "run this again with a network, or with --features MODEL --features tfidf (a sentence-transformers folder; "
            f"for good: export {encoders.VARIABLE}=MODEL)"
        )
    return f"sentence embeddings add {GAINS} points of accuracy on average: {mend}; {OTHERS}"
