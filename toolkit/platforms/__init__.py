"""One file per network OS, no I/O: render, parse, bind, show commands, failure indicators."""
