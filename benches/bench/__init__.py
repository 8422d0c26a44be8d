"""The parts of benches/run: scenarios, building, measuring, reporting."""
