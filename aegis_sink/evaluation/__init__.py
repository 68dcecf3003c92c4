"""Evaluation: recorded incidents run through the real collectors, playbooks and model."""
