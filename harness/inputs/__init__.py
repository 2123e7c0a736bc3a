"""One gate per kind of input. Every reader goes through it: limits stand here, every failure is a UserError."""
