"""Social networks: one module a format, each with its `FORMAT`; the rest is what several of them share."""
