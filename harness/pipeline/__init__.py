"""From specs to results: planning pairings, training, evaluating, and the documents they leave."""
