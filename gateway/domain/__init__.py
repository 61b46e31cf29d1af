"""Values: what passes between the layers. No I/O."""
