"""Evidence for people: graph pictures, flow tables, the HTML page of a run, JUnit."""
