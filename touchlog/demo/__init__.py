"""The demo: invented people's payloads in the vendors' own formats, and the run that publishes, folds and asks."""
