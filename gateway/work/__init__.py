"""What the line works on: products, jobs, and changing over from one to the next."""
