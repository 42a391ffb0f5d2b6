"""Pre-training of encoders on signal tracks."""
