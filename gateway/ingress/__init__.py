"""Faces: sockets in, Uplinks on."""
