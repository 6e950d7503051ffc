"""The seven steps, the run that passes through them, and the command line."""

STEPS = ("pull", "stage", "map", "gate", "merge", "reconcile", "push")
