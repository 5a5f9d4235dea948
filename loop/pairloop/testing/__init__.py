"""What plugin authors test with: contract classes to inherit, fakes, failpoints."""
