"""What the runtime reaches on this machine, each figure beside the limit of the parts it is made of."""
