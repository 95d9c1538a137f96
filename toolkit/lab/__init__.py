"""The same rooms simulated: topology file, namespaces, services, prober and matrix."""
