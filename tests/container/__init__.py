"""The container image, built from the Dockerfile and run for real: `make container`, which `make test` leaves out."""
