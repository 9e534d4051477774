"""The whole stack on one machine: `vcfolio up`."""
