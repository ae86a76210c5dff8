"""The packages that a piece of code needs, in the versions that are installed here."""

import ast
import sys
from importlib import metadata

# names on PyPI, by the name of the module; a module that is not here has the name of its package
PACKAGES = {
    "peft": ("peft", "transformers", "torch"),
    "sentence_transformers": ("sentence-transformers", "transformers", "torch"),
    "skops": ("skops", "scikit-learn"),
    "transformers": ("transformers", "torch"),
    "trl": ("trl", "transformers", "torch"),
}


def requirements(code: str) -> list[str]:
    """Pinned lines for pip of all that `code` imports, in alphabetical order.

    Examples
    --------
    >>> [line.partition("==")[0] for line in requirements("import json, numpy\\nfrom skops.io import load")]
    ['numpy', 'scikit-learn', 'skops']
    """
    modules: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module.partition(".")[0])
    modules -= set(sys.stdlib_module_names)
    packages = {package for module in modules for package in PACKAGES.get(module, (module,))}
    return [f"{package}=={metadata.version(package).partition('+')[0]}" for package in sorted(packages)]
