"""The layers of a network of transformers."""

from typing import Any

from torch import nn

from silr.errors import InputError

Network = Any  # transformers' for sequence classification, or peft's around it; libraries without precise types


def layers_of(network: Network) -> nn.ModuleList:
    """Return the network's blocks, the first first."""
    count = network.config.get_text_config().num_hidden_layers
    stacks = [module for module in network.modules() if isinstance(module, nn.ModuleList) and len(module) == count]
    if not stacks:
        raise InputError(f"silr does not know the layers of {type(network).__name__}; leave out --tune-top")
    return stacks[0]
