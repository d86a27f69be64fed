"""Data in: OTLP over gRPC and HTTP, and file import; decode, normalise, treat, hand to the writer."""
