"""The subject of the measurements: one HTTP service, one file per concurrency model."""
