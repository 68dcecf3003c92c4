"""The JSON API that reads, and later the pages."""
