"""What is shipped to deploy with: files that others' programs read, and a guide that is followed."""
