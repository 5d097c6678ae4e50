"""Pure: rules and similarities become one explained decision."""
