"""What K8sGPT and people write → Finding: one parser and one JSON Schema a dialect. Pure."""
