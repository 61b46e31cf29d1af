"""REST load: what the gateway's process pays per record, alone and in batches, and uploads larger than its memory."""
