"""A table with labels of a small LLM, and 200 labels by hand: ratings of the reviews, drawn as `silr label` does."""

import sys

import silr
from silr.cli.demo_table import demo_table

table = demo_table()
rows, weights = silr.draw(table["llm_label"], n=200)
table.loc[rows, "gold"] = table.loc[rows, "truth"]
table.loc[rows, "gold_weight"] = weights
table.drop(columns="truth").to_csv(sys.argv[1], index=False)
