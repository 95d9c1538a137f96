"""Document -> Spec: the model, the page reader, the role vocabulary, conditions."""
