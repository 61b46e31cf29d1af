"""The IoT-Link gateway service."""
