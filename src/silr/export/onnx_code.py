"""The Python that labels texts by a graph, and the page that says how: both lie beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from silr.export.onnx_source import Source

CODE, GUIDE = "onnx_predict.py", "ONNX.md"
AT_ONCE, AT_ONCE_BY_NETWORK = 500, 32  # rows
TEMPLATE = '''"""Labels of {rows} by {model}. It needs {packages}."""

from pathlib import Path

import numpy as np
import onnxruntime
{imports}
HERE = Path(__file__).resolve().parent
AT_ONCE = {at_once}

session = onnxruntime.InferenceSession(HERE / "{model}", providers=["CPUExecutionProvider"])
{setup}

def inputs({rows}):
    """What the graph reads."""
{encode}    return {{
{entries}
    }}


def predict({rows}):
    """Labels, shape (n,), and class probabilities, shape (n, {count}), of at least one of {rows}."""
    parts = [
        session.run(["label", "probabilities"], inputs({rows}[start : start + AT_ONCE]))
        for start in range(0, len({rows}), AT_ONCE)
    ]
    return np.concatenate([labels for labels, _ in parts]), np.concatenate([scores for _, scores in parts])
'''
PAGE = """# {model}: the classifier as one ONNX graph

It needs {packages}; versions as in the example's environment or later: onnxruntime {onnxruntime}.

```python
import sys

sys.path.append(DIR)
from {module} import predict

labels, probabilities = predict({example})
```

`{code}` lies beside the graph. It has the lines that make the inputs; copy them where you need them.

| input | shape and type | what it is |
| --- | --- | --- |
{inputs}

| output | shape and type | what it is |
| --- | --- | --- |
| `label` | (n,), strings | the most probable class |
| `probabilities` | (n, {count}), float32 | of the classes, in this order: {classes} |

{compared}
{own}"""
OWN = """
The graph cuts texts into characters by an operator of onnxruntime's own (`com.microsoft`, `Tokenizer`): other runtimes
for ONNX cannot read it.
"""


def code(sources: Sequence[Source], classes: Sequence[str], model: str) -> str:
    """The module that labels texts."""
    setup = "".join(f"{source.setup}\n" for source in sources if source.setup)
    by_network = any(source.is_network for source in sources)
    return TEMPLATE.format(
        model=model,
        rows=_rows(sources),
        packages=_packages(sources),
        imports="from tokenizers import Tokenizer\n" if setup else "",
        at_once=AT_ONCE_BY_NETWORK if by_network else AT_ONCE,
        setup=f"{setup}\n" if setup else "",
        encode="".join(f"    {source.encode}\n" for source in sources if source.encode),
        entries="\n".join(f'        "{name}": {line},' for source in sources for name, line in source.entries.items()),
        count=len(classes),
    )


def guide(sources: Sequence[Source], classes: Sequence[str], model: str, compared: str) -> str:
    """The page about the graph; `compared` says with what its labels were."""
    from importlib.metadata import version

    words = [(name, line) for source in sources for name, line in source.words.items()]
    is_text = any(name == "text" for name, _ in words)
    return PAGE.format(
        model=model,
        packages=_packages(sources),
        onnxruntime=version("onnxruntime"),
        module=Path(CODE).stem,
        code=CODE,
        example='["a text", "another"]' if _rows(sources) == "texts" else "features",
        inputs="\n".join(f"| `{name}` | {line} |" for name, line in words),
        count=len(classes),
        classes=", ".join(classes),
        compared=compared,
        own=OWN if is_text else "",
    )


def _rows(sources: Sequence[Source]) -> str:
    return "features" if any("features" in source.entries for source in sources) else "texts"


def _packages(sources: Sequence[Source]) -> str:
    return "onnxruntime, tokenizers and NumPy" if any(source.setup for source in sources) else "onnxruntime and NumPy"
