"""MQTT load: what a broker's process pays per message, and what is left after it was killed in the middle of bursts."""
