"""Events of the days that scenarios replay, for `ioc annotate`."""
