"""From a vendor's page of required ports to proven least-privilege ACLs."""
