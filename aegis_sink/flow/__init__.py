"""The only place where the parts meet: stages, worker, retention."""
