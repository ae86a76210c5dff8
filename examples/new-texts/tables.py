"""Two tables: 1,500 reviews with labels of a small LLM, 200 of them labelled by hand, and 500 new texts without labels.

The ratings of the reviews are the labels by hand; the texts are drawn as `silr label` draws them.
"""

import sys

import silr
from silr.cli.demo_table import demo_table

shuffled = demo_table().sample(frac=1, random_state=0, ignore_index=True)
table, new = shuffled[:1500].copy(), shuffled[1500:2000]
rows, weights = silr.draw(table["llm_label"], n=200)
table.loc[rows, "gold"] = table.loc[rows, "truth"]
table.loc[rows, "gold_weight"] = weights
table.drop(columns="truth").to_csv(sys.argv[1], index=False)
new[["id", "text"]].to_csv(sys.argv[2], index=False)
