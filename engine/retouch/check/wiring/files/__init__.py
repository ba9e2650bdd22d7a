"""Files that a stage is given: found, allowed and held to the model, before anything loads."""
