"""Files of weights, told by names, headers and configs: nothing here loads a tensor."""
