"""Models of the Hugging Face hub: which are on this machine, and how one gets there.  Only `get` asks the network."""
