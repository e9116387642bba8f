"""The assistant of the sandbox: what it reads, finds and says."""
