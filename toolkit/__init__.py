"""From a vendor's page of required ports to proven least-privilege ACLs."""

__version__ = "0.1.0"
