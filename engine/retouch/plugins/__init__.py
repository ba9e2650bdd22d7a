"""What is installed: plugins found, the signatures of their stages, what a stage costs, hooks."""
