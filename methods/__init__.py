"""The methods: one spec each, and one readable file where the algorithm is new."""
