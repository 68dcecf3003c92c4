"""Doctor: looks at everything around the service and says what to type where something is wrong."""
