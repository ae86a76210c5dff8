"""Stands in for a person: the ratings of the reviews answer for 100 texts, drawn as `silr label` draws them."""

import sys

import pandas as pd

import silr

source, output = sys.argv[1:]
table = pd.read_csv(source)
rows, weights = silr.draw(table["llm_label"], n=100)
table.loc[rows, "gold"] = table.loc[rows, "truth"]
table.loc[rows, "gold_weight"] = weights
table.to_csv(output, index=False)
