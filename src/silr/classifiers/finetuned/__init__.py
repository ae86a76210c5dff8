"""The fine-tuned classifier: a pretrained model with adapters, or all of its weights."""
