"""Public fakes: what users need to test their flows, and we ours."""
