"""TCFP-E: expressions that are pure, typed and bounded, compiled to code objects."""
