"""Questions sent together, as OpenAI's Batch API and vLLM's `run-batch` take them: the answers fill the cache."""

PRICE_SHARE = 0.5  # of the price of single requests: what a batch costs at OpenAI
