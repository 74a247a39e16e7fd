"""Breaking the engine on purpose, to see that the judge of the simulated world notices."""
