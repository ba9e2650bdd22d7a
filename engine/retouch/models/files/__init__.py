"""Files of a model, told by names, headers and configs: nothing here loads a tensor."""
