"""The Python that labels texts by a graph, and the page that says how: both lie beside it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from silr.export.card import code
from silr.export.onnx_source import Source

MODULE, GUIDE = "onnx_predict.py", "ONNX.md"
AT_ONCE, AT_ONCE_BY_NETWORK = 500, 32  # rows
TEMPLATE = '''"""Labels of {rows} by {model}. It needs {packages}."""

from pathlib import Path

import numpy as np
import onnxruntime
{imports}
HERE = Path(__file__).resolve().parent
AT_ONCE = {at_once}  # {rows}

session = onnxruntime.InferenceSession(HERE / "{model}", providers=["CPUExecutionProvider"])
{setup}

def inputs({rows}):
    """What the graph reads, by the names of its inputs."""
{encode}    return {{
{entries}
    }}


def predict({rows}):
    """Return labels, shape (n,), and class probabilities, shape (n, {count}); at least one row is needed."""
    labels, probabilities = [], []
    for start in range(0, len({rows}), AT_ONCE):
        some = session.run(["label", "probabilities"], inputs({rows}[start : start + AT_ONCE]))
        labels.append(some[0])
        probabilities.append(some[1])
    return np.concatenate(labels), np.concatenate(probabilities)
'''
PAGE = """# {model}: the classifier as one ONNX graph

It needs {packages}. It was checked with onnxruntime {onnxruntime}: {compared}.

```python
import sys

sys.path.append(DIR)
from {module} import predict

labels, probabilities = predict({example})
```

`{module}.py` lies beside the graph. Its function `inputs` has the lines that make what the graph reads.

| input | shape and type | what it is |
| --- | --- | --- |
{inputs}

| output | shape and type | what it is |
| --- | --- | --- |
| `label` | (n,), strings | the most probable class |
| `probabilities` | (n, {count}), float32 | of the classes, in this order: {classes} |
{own}"""
OWN = """
An operator of onnxruntime's own (`com.microsoft`, `Tokenizer`) cuts texts into characters: no other runtime for ONNX
can read the graph.
"""


def module_of(sources: Sequence[Source], classes: Sequence[str], model: str) -> str:
    """The Python that labels texts."""
    setup = "".join(f"{source.setup}\n" for source in sources if source.setup)
    by_network = any(source.is_network for source in sources)
    return TEMPLATE.format(
        model=model,
        rows=_rows(sources),
        packages=_packages(sources),
        imports="from tokenizers import Tokenizer\n" if setup else "",
        at_once=AT_ONCE_BY_NETWORK if by_network else AT_ONCE,
        setup=setup,
        encode="".join(f"    {source.encode}\n" for source in sources if source.encode),
        entries="\n".join(f'        "{name}": {line},' for source in sources for name, line in source.entries.items()),
        count=len(classes),
    )


def guide(sources: Sequence[Source], classes: Sequence[str], model: str, compared: str) -> str:
    """The page about the graph; `compared` says with what its labels were."""
    words = [(name, line) for source in sources for name, line in source.words.items()]
    return PAGE.format(
        model=model,
        packages=_packages(sources),
        onnxruntime=version("onnxruntime"),
        compared=compared,
        module=Path(MODULE).stem,
        example='["a text", "another"]' if _rows(sources) == "texts" else "features",
        inputs="\n".join(f"| `{name}` | {line} |" for name, line in words),
        count=len(classes),
        classes=", ".join(map(code, classes)),
        own=OWN if any(name == "text" for name, _ in words) else "",
    )


def _rows(sources: Sequence[Source]) -> str:
    return "features" if any("features" in source.entries for source in sources) else "texts"


def _packages(sources: Sequence[Source]) -> str:
    return "onnxruntime, tokenizers and NumPy" if any(source.setup for source in sources) else "onnxruntime and NumPy"
