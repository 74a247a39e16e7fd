"""What people and programs do to the service's data, each act noted as the truth."""
