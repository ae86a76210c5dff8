"""Questions sent together, as OpenAI's Batch API and vLLM's `run-batch` take them: the answers fill the cache."""
