"""Fleet simulator: scenarios of thousands of devices over TCP, MQTT and REST, with the balance checked at the sink."""
