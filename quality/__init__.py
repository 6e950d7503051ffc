"""Rules as data, the gate that applies them, and the reconciliation that proves that systems agree."""
