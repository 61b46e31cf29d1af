"""The product specs that come with the gateway: data, read through `importlib.resources`."""
