"""What is shipped for deployment: manifests, alerts, a dashboard, and a guide that a test follows."""
