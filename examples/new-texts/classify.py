"""Labels new texts with an exported classifier. It needs skops and scikit-learn, and no silr."""

import sys

import pandas as pd
import skops.io

folder, source, output = sys.argv[1:]
classifier = skops.io.load(f"{folder}/model.skops")
texts = pd.read_csv(source)
texts["label"] = classifier.predict(texts["text"])
texts["probability"] = classifier.predict_proba(texts["text"]).max(axis=1)
texts.to_csv(output, index=False)
print(texts["label"].value_counts().to_string())
