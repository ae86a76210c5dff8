"""How ``--help`` is laid out: options in groups, short words for their values, and examples.

Names of options are never cut at 80 columns, since no column beside them is wide.
"""

from typing import Any

from typer.core import TyperCommand

OTHER, ALWAYS = "Other options", "Output"
PANELS = {  # names of options, by command and title
    "annotate": {
        "Table": "output text_column features name",
        "What is asked": "classes question codebook prompt class_word opening few_shot strategy calibrate thinking",
        "Who is asked": "annotator model base_url api_version header device dtype trust_remote_code",
        "Batches": "batch batch_file batch_results",
        "Embeddings of a server": "embeddings embeddings_url embeddings_dimensions",
        "An answer": "answer confidence explain samples",
        "A request": "temperature reasoning_effort service_tier extra_body",
        "A server": "concurrency rpm tpm timeout cache max_requests max_tokens_total max_answer_tokens",
        "The bill": "dry_run tokenizer price_in price_out prices max_dollars",
    },
    "label": {
        "What is labelled": "number until_width classes codebook output imported text_column label_column",
        "Several people": "person gold_from",
        "Which texts are drawn": "draw seed",
        "Texts in doubt": "adjudicate again",
        "How they are shown": "terminal browser port show_llm_label",
    },
    "refine": {
        "What is refined": "output text_column label_column gold_column weight_column truth",
        "How": "method features classifier seed device",
        "Features of a server (--features api:MODEL)": "features_url features_dimensions max_requests max_tokens_total "
        "rpm tpm",
        "Fine-tuning (--classifier lora, qlora or full)": "model prompt tune_top max_length batch_size learning_rate "
        "epochs",
        "Methods uu and paper": "iterations loss correction hidden_units theta class_prior oracle",
    },
    "sample": {
        "What is written": "policy prompts output generations max_new_tokens temperature",
        "How prompts are read": "chat text_format prompt_column",
        "The machine": "trust_remote_code seed device",
    },
    "align": {
        "What is aligned": "policy prompts output prompt_column chat",
        "The reward": "reward wanted judge text_format",
        "Training": "method tuning kl steps learning_rate batch_size save_steps tracker",
        "Completions": "generations max_new_tokens temperature vllm",
        "The machine": "trust_remote_code seed device",
    },
}
EXAMPLES = {
    "init": (
        "silr init",
        "silr init reviews.csv --annotator table --classes negative positive -n 100 --want share",
    ),
    "label": (
        "silr label labelled.csv -n 100",
        "silr label labelled.csv --until-width 0.05",
        "silr label labelled.csv --import export.json -n 0",
    ),
    "refine": (
        "silr refine labelled.csv -o run/",
        "silr refine labelled.csv -o tuned/ --classifier lora --model MODEL",
    ),
    "predict": ("silr predict run/ new.csv -o scored.csv",),
    "evaluate": ("silr evaluate run/labels.csv --truth answer",),
    "estimate": (
        "silr estimate run/",
        "silr estimate run/ --by party",
        "silr estimate run/ --formula 'hostile ~ party'",
    ),
    "report": ("silr report run/ --truth answer",),
    "export": ("silr export run/ classifier/",),
    "sample": ("silr sample --policy MODEL --prompts prompts.csv -n 8 -o answers.csv",),
    "align": ("silr align --policy MODEL --prompts prompts.csv --reward run/ --class safe -o aligned/",),
}
VALUES = {"int": "N", "float": "X", "str": "TEXT", "text": "TEXT", "path": "PATH", "bool": ""}  # by type
COLUMNS = ("text_column", "label_column", "gold_column", "weight_column", "prompt_column", "truth")


class Command(TyperCommand):
    """A command whose options are shown in groups."""

    def __init__(self, name: str | None, **options: Any) -> None:
        super().__init__(name, **options)
        self.epilog = "\n\n".join(f"Example: `{line}`" for line in EXAMPLES.get(name or "", ())) or None
        for option in self.params:
            if option.param_type_name == "option":
                self._lay_out(option)

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, those of a group side by side."""
        params: list[Any] = list(super().get_params(ctx))
        places = {title: place for place, title in enumerate([*PANELS.get(self.name or "", {}), OTHER, ALWAYS])}
        for param in params:
            if param.name == "help" and self.name in PANELS:
                param.rich_help_panel = ALWAYS
        return sorted(params, key=lambda param: places.get(str(getattr(param, "rich_help_panel", "")), -1))

    def _lay_out(self, option: Any) -> None:
        groups = PANELS.get(self.name or "", {})
        named = [title for title, names in groups.items() if option.name in names.split()]
        if groups:
            option.rich_help_panel = [*named, ALWAYS if option.name in ("quiet", "as_json") else OTHER][0]
        if option.secondary_opts and option.default is False:  # what is off needs no option that puts it off
            option.secondary_opts = []
        if option.name == "seed" and not option.help:
            option.help = "The same seed gives the same result."
        if option.metavar is None:
            option.metavar = "COLUMN" if option.name in COLUMNS else _value(option)


def _value(option: Any) -> str:
    """A word for the value; a choice of words is told by the help."""
    kind = option.bare_type() if hasattr(option, "bare_type") else option.type.name  # typer 0.29 has its own types
    kind = str(kind).removeprefix("list[").removesuffix("]").lower()
    return next((word for name, word in VALUES.items() if kind.startswith(name)), "WORD")
