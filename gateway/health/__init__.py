"""What operations see: liveness, readiness, health, metrics and the line itself over HTTP."""
