"""Modbus: configuration, request plan, driver and the allow-list of function codes."""
