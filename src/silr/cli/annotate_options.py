"""The options of `silr annotate`, each with its help."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Option

from silr.cli.options import choice

DEFAULT_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
_API = "With --annotator api"
_MODEL = f"Hub name, model folder or .gguf file (default {DEFAULT_MODEL}), or the server's name for it."
_ANNOTATOR = (
    "local: on this machine. api: any OpenAI-compatible server; key in OPENAI_API_KEY. Default: api with "
    "--base-url, else local."
)
_CACHE = f"{_API}: SQLite file of the answers paid for (default ~/.cache/silr/answers.sqlite)."
_PRICES = f'{_API}: JSON file of prices, {{"MODEL": {{"in": 0.15, "out": 0.6}}}}; default: the table of silr.'
_CALIBRATE = "Local: contextual divides by the scores of texts without content."
_ANSWER = f"{_API}: whether the server holds the model to the classes. auto: where nothing is lost by it."
_STRATEGY = "self-refine: answer, critique, answer again; several times the work."
_CODEBOOK = "YAML file: question and classes with definitions, in, out and examples; see silr codebook init."
_THINKING = "Local: tell a chat template that knows enable_thinking; default: no thinking."
_DTYPE = "Local: float32, bfloat16 or float16; default: what is fast here."
_API_VERSION = "Azure's version of its API, such as 2024-10-21; --base-url https://NAME.openai.azure.com."
_HEADER = f"{_API}: a further header; the value env:VARIABLE is read from the environment. Never written."
_REASONING = f"{_API}: how much the model thinks, in the server's word: none, minimal, low, ..."
_EXTRA_BODY = f"{_API}: an object of JSON, or @FILE, whose entries go into each request."

# --- the table
Output = Annotated[Path, Option("--output", "-o", help="Where the labelled table goes.")]
Features = Annotated[
    bool, Option(help="Also write the hidden states of the same pass (local) or the --embeddings (api).")
]

Engine = Annotated[
    str,
    choice(
        "Who works on the pieces of a folder: local, one process; ray, the machines of the Ray cluster at RAY_ADDRESS, "
        "or the processors of this one; vllm, the same by vLLM, without hidden states.",
        *("local", "ray", "vllm"),
    ),
]
Name = Annotated[str, Option(help="Of this LLM among several: adds llm_label_NAME beside the others.")]

# --- what is asked
Classes = Annotated[list[str] | None, Option(help="The classes: --classes negative positive, or negative,positive.")]
CodebookFile = Annotated[Path | None, Option("--codebook", help=_CODEBOOK)]
Question = Annotated[str | None, Option(help='Such as "Is this review positive or negative?".')]
PromptText = Annotated[
    str | None, Option(help="The whole prompt, with {text}, and {question}, {classes}, {examples}, {codebook}.")
]
ClassWord = Annotated[list[str] | None, Option(help="What the LLM answers for a class, if not its name: CLASS=WORD.")]
Strategy = Annotated[Literal["direct", "self-refine"], Option(help=_STRATEGY, metavar="TEXT")]
FewShot = Annotated[Path | None, Option(help="Table with columns text and label: examples for the prompt.")]
Opening = Annotated[str | None, Option(help="Local: how the answer begins; default: the question restated.")]
Thinking = Annotated[bool | None, Option("--thinking/--no-thinking", help=_THINKING)]
Calibrate = Annotated[str | None, choice(_CALIBRATE, "contextual")]

# --- who is asked
Annotator = Annotated[Literal["local", "api"] | None, Option(help=_ANNOTATOR)]
Model = Annotated[str | None, Option(help=_MODEL)]
Dtype = Annotated[str | None, choice(_DTYPE, "float32", "bfloat16", "float16")]
TrustRemoteCode = Annotated[bool, Option(help="Local: run code that comes with the model.")]
BaseUrl = Annotated[str | None, Option(help=f"{_API}: the server, such as http://127.0.0.1:8000/v1.")]
ApiVersion = Annotated[str | None, Option(metavar="DATE", help=_API_VERSION)]
Header = Annotated[list[str] | None, Option(metavar="NAME=VALUE", help=_HEADER)]

# --- a request
Temperature = Annotated[float | None, Option(help=f"{_API}: randomness of the answers (default 0; 1 with --samples).")]
ReasoningEffort = Annotated[str | None, Option(metavar="WORD", help=_REASONING)]
ServiceTier = Annotated[str | None, Option(metavar="WORD", help=f"{_API}: a tier of the server, such as flex.")]
ExtraBody = Annotated[str | None, Option(metavar="JSON", help=_EXTRA_BODY)]

# --- embeddings of a server
Embeddings = Annotated[
    str | None, Option(help=f"{_API}: also write embeddings by this model of the server, which refine takes.")
]
EmbeddingsUrl = Annotated[str | None, Option(help="Server of the --embeddings; default: that of the labels.")]
EmbeddingsDimensions = Annotated[int | None, Option(min=1, help="Width of the --embeddings, if it has several.")]

# --- batches
Batch = Annotated[bool, Option("--batch", help=f"{_API}: as batches, answered within 24 hours at half the price.")]
BatchFile = Annotated[Path | None, Option(help="Send nothing: write the requests as files for vLLM's run-batch.")]
BatchResults = Annotated[Path | None, Option(help="Send nothing: read the results of such files in a folder.")]

# --- a server
Answer = Annotated[Literal["auto", "structured", "free"], Option(help=_ANSWER, metavar="TEXT")]
Confidence = Annotated[str | None, choice(f"{_API}: ask for a number from 0 to 100, too; llm_confidence.", "said")]
Explain = Annotated[bool, Option(help=f"{_API}: ask for a short reason, too; column llm_reason.")]
Samples = Annotated[int, Option(min=1, help=f"{_API}: answers a text; above 1, the share of votes is the score.")]
Concurrency = Annotated[int, Option(min=1, help=f"{_API}: texts asked about at a time.")]
Rpm = Annotated[int | None, Option(min=1, help=f"{_API}: requests a minute, at most.")]
Tpm = Annotated[int | None, Option(min=1, help=f"{_API}: tokens a minute, both ways, at most.")]
MaxRequests = Annotated[int | None, Option(help=f"{_API}: stop after so many requests.", min=1)]
MaxTokensTotal = Annotated[int | None, Option(min=1, help=f"{_API}: stop after so many tokens, both ways.")]
MaxAnswerTokens = Annotated[int | None, Option(min=1, help=f"{_API}: longest answer; default: the server's.")]
Timeout = Annotated[float, Option(min=0.1, help=f"{_API}: seconds to wait for an answer.")]
Cache = Annotated[Path | None, Option(help=_CACHE)]

# --- the bill
DryRun = Annotated[bool, Option("--dry-run", help="Print prompt, tokens and cost; send nothing, write nothing.")]
Tokenizer = Annotated[str | None, Option(help=f"{_API}: folder or hub name whose tokens --dry-run counts.")]
PriceIn = Annotated[float | None, Option(help=f"{_API}: dollars for a million tokens of prompts.", min=0)]
PriceOut = Annotated[float | None, Option(help=f"{_API}: dollars for a million tokens of answers.", min=0)]
Prices = Annotated[Path | None, Option(help=_PRICES)]
MaxDollars = Annotated[float | None, Option(help=f"{_API}: stop after so many dollars.", min=0)]
