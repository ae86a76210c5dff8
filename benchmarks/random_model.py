"""Write a model with random weights in the shape of Llama-3.2-1B, for timings: what it says means nothing.

    python benchmarks/random_model.py DIR [--tokenizer FOLDER_OR_GGUF]

The tokenizer is that of the demo's model unless another is named.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from silr.cli.demo_data import demo_model
from silr.hf.models import load_tokenizer, locate

# the published configuration of meta-llama/Llama-3.2-1B
SHAPE = LlamaConfig(
    vocab_size=128256,
    hidden_size=2048,
    intermediate_size=8192,
    num_hidden_layers=16,
    num_attention_heads=32,
    num_key_value_heads=8,
    head_dim=64,
    max_position_embeddings=131072,
    rms_norm_eps=1e-5,
    tie_word_embeddings=True,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device(device):
        network = LlamaForCausalLM._from_config(SHAPE, dtype=torch.bfloat16)
    network.save_pretrained(arguments.folder)
    load_tokenizer(locate(str(arguments.tokenizer or demo_model()))).save_pretrained(arguments.folder)


if __name__ == "__main__":
    main()
