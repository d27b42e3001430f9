"""A simulated Logix controller behind a real EtherNet/IP server."""

from protocols.simulated.ethernet_ip.labeler import LabelerPlc
from protocols.simulated.ethernet_ip.router import Violation
from protocols.simulated.ethernet_ip.server import LogixPlc

__all__ = ["LabelerPlc", "LogixPlc", "Violation"]
