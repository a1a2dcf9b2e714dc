"""What there is: parts, options of recipes, runs and versions."""
