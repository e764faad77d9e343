"""`ioc load`: open-loop load on a whole system, with a verdict that also judges the load itself."""
