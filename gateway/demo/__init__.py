"""`linegate demo`: a simulated filler behind a real Modbus TCP server, the daemon, and what there is to see of them."""

from gateway.demo.run import run_demo

__all__ = ["run_demo"]
