"""Real servers for tests, one module each; a fixture starts one when the first test asks for it."""
