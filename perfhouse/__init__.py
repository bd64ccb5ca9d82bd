"""perfhouse: the performance warehouse for customer-service managers."""
