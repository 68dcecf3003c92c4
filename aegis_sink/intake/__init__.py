"""The HTTP door: authentication, limits, routes. Knows no SQL."""
