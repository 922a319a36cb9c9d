"""Other load generators behind the same figures, for cross-checks: wrk and wrk2."""

from clients.adapters.wrk import AdapterMissingError, run_adapter

__all__ = ["AdapterMissingError", "run_adapter"]
