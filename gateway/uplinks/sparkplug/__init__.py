"""The line as a Sparkplug B edge node."""
