"""The whole board as static pages: what a lab publishes."""
