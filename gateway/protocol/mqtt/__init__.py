"""MQTT 3.1.1 and 5.0 as a server speaks it: packets, topics, sessions. No I/O."""
