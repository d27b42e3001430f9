"""Runners own tasks, connecting, backoff and progress deadlines; they let nothing out but cancellation."""
