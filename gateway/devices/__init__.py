"""The directory of devices and who is connected."""
