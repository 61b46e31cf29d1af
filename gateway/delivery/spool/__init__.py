"""The spool: a log of blocks on the disk. What stands in it is durable; from it records go to the sinks."""
