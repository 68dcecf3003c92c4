"""Telling people: the message and the places it goes to."""
