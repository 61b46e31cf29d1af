"""An Uplink becomes Records. Synchronous, CPU only, no I/O."""
