"""What carries a lab: network namespaces, or containers made by containerlab."""
