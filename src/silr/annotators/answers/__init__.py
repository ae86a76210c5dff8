"""From an LLM's answer in words to a class, or to the reason why it names none."""
