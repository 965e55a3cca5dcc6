"""Tables by name, from whatever file or hub they lie in, read shard by shard; misfits are set aside."""
