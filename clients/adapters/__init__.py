"""Other load generators behind the same figures, for cross-checks: wrk and wrk2."""

from clients.adapters.wrk import run_adapter

__all__ = ["run_adapter"]
