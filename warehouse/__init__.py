"""The canonical model on DuckDB: run files, staging, merge, identity, history, the ledger and the snapshot."""
