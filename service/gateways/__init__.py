"""Ways to the phone network: each speaks the domain's words outwards."""
