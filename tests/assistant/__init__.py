"""What a user can do with the assistant, in memory and virtual time, on a Contit that echoes the question."""
