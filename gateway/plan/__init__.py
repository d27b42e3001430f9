"""What a configuration will ask of each PLC, before it does."""
