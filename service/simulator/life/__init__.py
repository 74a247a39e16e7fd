"""What happens in the world: to patients, at clinics, and when."""
