"""The vocabulary: what an entity, a record, a finding and an outcome are, and the port that connectors implement."""
